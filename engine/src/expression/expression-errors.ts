import { defineErrors } from "../errors.ts";

export const expressionError = defineErrors({
  "EXPR-INVALID": {
    kind: "rejected",
    summary: "An expression is not valid CEL, or its types can never fit.",
    remedy: "Correct the expression; the details give the offset of the fault in it.",
  },
  "EXPR-FAILED": {
    kind: "terminal",
    summary: "An expression has no value for one message: a field is missing, or types do not fit.",
    remedy: "Look at the dead letter; test the field with has(), convert it, or correct the message and redrive it.",
  },
});
