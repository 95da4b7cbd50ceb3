/** The error catalogue of schema registries and of messages that their schemas describe. */
import { defineErrors } from "@millrace/engine";

export const registryError = defineErrors({
  "REGISTRY-BYTES": {
    kind: "rejected",
    summary: "A message does not begin with the id of a schema, or its bytes are not what its schema says.",
    remedy: "Let its producer encode by the registry; read plain JSON without `registry`.",
  },
  "REGISTRY-UNKNOWN": {
    kind: "rejected",
    summary: "A message names a schema that the registry does not have.",
    remedy: "Read from the registry that its producer registers at; then redrive the dead letter.",
  },
  "REGISTRY-SCHEMA": {
    kind: "rejected",
    summary: "A schema, or one that it refers to, cannot be used: it is none, or of a kind that is not known.",
    remedy: "Correct the schema; known are Avro, Protobuf and JSON Schema.",
  },
  "REGISTRY-VALUE": {
    kind: "rejected",
    summary: "A row does not fit the schema that it is to be written by; `details.path` says which field.",
    remedy: "Give the field the type that the schema says, or remove it with a map; then redrive the dead letter.",
  },
  "REGISTRY-SUBJECT": {
    kind: "transient",
    summary: "A subject has no schema yet, or not the one that a sink is to write by.",
    remedy: "Register it, or set `register: true`; it is waited for.",
  },
  "REGISTRY-TARGET": {
    kind: "terminal",
    summary: "The schema that a sink is to write by cannot be used, or the registry refuses it as incompatible.",
    remedy: "Correct the schema, or the compatibility that the subject asks for, and start the node again.",
  },
  "REGISTRY-ANSWER": {
    kind: "transient",
    summary: "A schema registry refused a request, or answered what no registry answers.",
    remedy: "Look at the status in the message: credentials, address, and the registry's own log; it is tried again.",
  },
});

/** What is wrong with a value, and where in it. */
export class ValueFault extends Error {
  readonly #path: (string | number)[];

  constructor(why: string, path: readonly (string | number)[] = []) {
    super(why);
    this.#path = [...path];
  }

  /** Adds the step that leads to it. */
  at(step: string | number): this {
    this.#path.unshift(step);
    return this;
  }

  /** `$.lines[2].price`; `$` alone is the whole. */
  get path(): string {
    return this.#path.reduce<string>(
      (path, step) =>
        path +
        (typeof step === "number"
          ? `[${step}]`
          : /^[A-Za-z_]\w*$/.test(step)
            ? `.${step}`
            : `[${JSON.stringify(step)}]`),
      "$",
    );
  }
}

/** Rethrows what went wrong within a step of a value. */
export function within(error: unknown, step: string | number): unknown {
  return error instanceof ValueFault ? error.at(step) : error;
}
