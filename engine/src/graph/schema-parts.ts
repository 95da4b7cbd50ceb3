/** The pieces that the format of graph files is made of. */
import Type, { type TProperties, type TSchema } from "typebox";

/** A closed object: a misspelt key is an error, not a setting that never takes effect. */
export const closed = <P extends TProperties>(properties: P, options: object = {}) =>
  Type.Object(properties, { additionalProperties: false, ...options });

export const choice = <const V extends readonly string[]>(values: V, description: string) =>
  Type.Unsafe<V[number]>({ type: "string", enum: [...values], description });

export const text = (description: string) => Type.String({ minLength: 1, description });

export const cel = (description: string) => Type.String({ minLength: 1, description: `${description} (CEL)` });

export const flag = (description: string) => Type.Boolean({ description });

export const count = (description: string) =>
  Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER, description });

/** The format is checked by `parseDuration`; editors show the example. */
export const duration = (description: string) =>
  Type.String({ format: "millrace-duration", description, examples: ["1h", "250ms", "1h30m"] });

/** Field names of messages are the user's own. */
export const fields = (value: TSchema, description: string) =>
  Type.Unsafe<Readonly<Record<string, string>>>({ type: "object", additionalProperties: value, description });

export const fieldNames = (description: string) =>
  Type.Array(Type.String({ minLength: 1 }), { minItems: 1, uniqueItems: true, description });
