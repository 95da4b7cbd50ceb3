/** Messages of a method as rows and from rows, and the fields of them that a graph names. */
import { fieldOf, isJsonObject, type Json, type JsonObject } from "@millrace/engine";
import protobuf, { type Field, type Type } from "protobufjs";
import { ValueFault } from "../registry/errors.ts";
import { ProtobufForms } from "../registry/protobuf-forms.ts";
import { grpcError } from "./errors.ts";

const forms = new ProtobufForms();
const formsOfParts = new ProtobufForms({ isPart: true });

export class MessageForm {
  readonly #type: Type;

  constructor(type: Type) {
    this.#type = type;
  }

  /** Its full name. */
  get name(): string {
    return this.#type.fullName.replace(/^\./, "");
  }

  /** @throws the bytes are no such message */
  decode(bytes: Uint8Array): Json {
    return forms.json(this.#type, this.#type.decode(bytes) as unknown as Readonly<Record<string, unknown>>);
  }

  /** @throws GRPC-VALUE */
  encode(row: Json): Buffer {
    try {
      return Buffer.from(this.#type.encode(forms.message(this.#type, row)).finish());
    } catch (cause) {
      throw this.#faultOf(cause);
    }
  }

  /** Whether it is right as far as it goes: what is required (proto2) may be missing. @throws GRPC-VALUE */
  checkPart(row: Json): void {
    try {
      formsOfParts.message(this.#type, row);
    } catch (cause) {
      throw this.#faultOf(cause);
    }
  }

  #faultOf(cause: unknown): unknown {
    if (!(cause instanceof ValueFault)) return cause;
    const text = `the row is no ${this.name}: ${cause.path}: ${cause.message}`;
    return grpcError("GRPC-VALUE", text, { cause, details: { path: cause.path } });
  }

  /** What the field at names with dots between them holds; `undefined` where there is none. */
  fieldAt(path: string): FieldKind | undefined {
    const [first = "", ...rest] = path.split(".");
    const field = ownField(this.#type, first);
    if (field === undefined) return undefined;
    const { resolvedType, repeated, map } = field;
    if (rest.length === 0)
      return { type: resolvedType?.fullName ?? field.type, isList: repeated, isMap: map, form: formOf(field) };
    if (!(resolvedType instanceof protobuf.Type) || repeated || map) return undefined;
    return new MessageForm(resolvedType).fieldAt(rest.join("."));
  }
}

/** What a field holds. */
export interface FieldKind {
  /** Name of the scalar type, or full name of the message or enumeration. */
  readonly type: string;
  readonly isList: boolean;
  readonly isMap: boolean;
  /** Of a message. */
  readonly form: MessageForm | undefined;
}

function ownField(type: Type, name: string): Field | undefined {
  return Object.hasOwn(type.fields, name) ? type.fields[name]?.resolve() : undefined;
}

const formOf = ({ resolvedType }: Field): MessageForm | undefined =>
  resolvedType instanceof protobuf.Type ? new MessageForm(resolvedType) : undefined;

/** A copy of `row` with the value at names with dots between them; what is on the way there is made. */
export function withValue(row: JsonObject, path: string, value: Json): JsonObject {
  const [first = "", ...rest] = path.split(".");
  if (rest.length === 0) return { ...row, [first]: value };
  const inner = fieldOf(row, first);
  return { ...row, [first]: withValue(isJsonObject(inner) ? inner : {}, rest.join("."), value) };
}
