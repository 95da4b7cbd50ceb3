import { defineErrors } from "../errors.ts";

export const storeError = defineErrors({
  "STORE-FULL": {
    kind: "transient",
    summary: "The store or its disk is full.",
    remedy: "Free disk space; writing resumes by itself.",
  },
  "STORE-FAILED": {
    kind: "terminal",
    summary: "The store cannot be opened or is damaged.",
    remedy: "It is derived data: it is deleted and rebuilt from the log.",
  },
  "STORE-KEY": {
    kind: "programmer",
    summary: "A key is empty or longer than 511 bytes.",
    remedy: "Shorten or hash the key.",
  },
  "STORE-CLOSED": { kind: "terminal", summary: "The store was closed.", remedy: "Open it again." },
});
