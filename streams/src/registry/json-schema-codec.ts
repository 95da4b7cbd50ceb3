/** Messages by a JSON Schema: the message is JSON, and is checked both ways. `ajv` does that, for drafts 6, 7, 2019-09 and 2020-12. */
import { createRequire } from "node:module";
import type { Json } from "@millrace/engine";
import { Ajv, type ErrorObject, type ValidateFunction } from "ajv";
import { Ajv2019 } from "ajv/dist/2019.js";
import { Ajv2020 } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import { ValueFault } from "./errors.ts";
import type { SchemaCodec, SchemaText } from "./schema-codec.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true });
const text = new TextEncoder();
const require = createRequire(import.meta.url);

/** @throws the schema is none */
export function jsonSchemaCodec({ schema, references }: SchemaText, record?: string): SchemaCodec {
  const parsed = JSON.parse(schema) as object | boolean;
  const ajv = ajvFor(parsed);
  addReferences(ajv, references, idOf(parsed));
  const validate = ajv.compile(parsed);
  const title = typeof parsed === "object" ? (parsed as { readonly title?: unknown }).title : undefined;
  return {
    record: record ?? (typeof title === "string" ? title : ""),
    decode(body) {
      const json = jsonText(body);
      const row = parsedJson(json);
      check(validate, row);
      return exactIntegers(json, row);
    },
    encode(row) {
      check(validate, row);
      return text.encode(JSON.stringify(row));
    },
  };
}

function idOf(schema: object | boolean): string | undefined {
  const id = typeof schema === "object" ? (schema as { readonly $id?: unknown }).$id : undefined;
  return typeof id === "string" ? id : undefined;
}

/** By its name, and by what the name means in a schema that has an address of its own. */
function addReferences(
  ajv: Ajv | Ajv2019 | Ajv2020,
  references: SchemaText["references"],
  base: string | undefined,
): void {
  for (const { name, schema } of references) ajv.addSchema(JSON.parse(schema) as object, name);
  for (const { name, schema } of references) {
    const address = base !== undefined && URL.canParse(name, base) ? new URL(name, base).href : name;
    const isKnown = Object.hasOwn(ajv.schemas, address) || Object.hasOwn(ajv.refs, address);
    if (!isKnown) ajv.addSchema(withoutId(JSON.parse(schema) as object), address);
  }
}

/** The same under another address: one that has an address of its own is referred to by it. */
function withoutId(schema: object): object {
  const own = idOf(schema);
  return own !== undefined && URL.canParse(own) ? { $ref: own } : { ...schema, $id: undefined };
}

const OPTIONS = { strict: false, allowUnionTypes: true, logger: false } as const;

function ajvFor(schema: object | boolean): Ajv | Ajv2019 | Ajv2020 {
  const draft = typeof schema === "object" ? String((schema as { readonly $schema?: unknown }).$schema ?? "") : "";
  const ajv = draft.includes("2020-12")
    ? new Ajv2020(OPTIONS)
    : draft.includes("2019-09")
      ? new Ajv2019(OPTIONS)
      : new Ajv(OPTIONS);
  if (draft.includes("draft-06")) ajv.addMetaSchema(require("ajv/dist/refs/json-schema-draft-06.json") as object);
  formats.default(ajv as Ajv);
  return ajv;
}

function jsonText(body: Uint8Array): string {
  try {
    return utf8.decode(body);
  } catch {
    throw new ValueFault("it is no UTF-8");
  }
}

function parsedJson(json: string): Json {
  try {
    return JSON.parse(json) as Json;
  } catch (cause) {
    throw new ValueFault(`it is no JSON: ${(cause as Error).message}`);
  }
}

function check(validate: ValidateFunction, row: Json): void {
  if (validate(row)) return;
  const [error] = validate.errors ?? [];
  throw error === undefined ? new ValueFault("it does not fit the schema") : faultOf(error);
}

function faultOf({ instancePath, message = "does not fit", params }: ErrorObject): ValueFault {
  const steps = instancePath
    .split("/")
    .slice(1)
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"))
    .map((step) => (/^\d+$/.test(step) ? Number(step) : step));
  const named = (params as { missingProperty?: unknown; additionalProperty?: unknown }) ?? {};
  const field = named.missingProperty ?? named.additionalProperty;
  return new ValueFault(message, typeof field === "string" ? [...steps, field] : steps);
}

/** A text, or a number, of JSON. */
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const LONG_INTEGER = /\d{16}/;

/** Integers that a number would not hold exactly become texts of their digits. They were checked as the numbers that they are. */
function exactIntegers(json: string, row: Json): Json {
  if (!LONG_INTEGER.test(json)) return row;
  let isExact = true;
  const quoted = json.replace(TOKEN, (token) => {
    if (!/^-?\d{16,}$/.test(token) || Number.isSafeInteger(Number(token))) return token;
    isExact = false;
    return `"${token}"`;
  });
  return isExact ? row : (JSON.parse(quoted) as Json);
}
