/** Files of Protobuf as one set of types, by `protobufjs`; and the messages of a file as message indexes count them. */
import { createRequire } from "node:module";
import protobuf, { type AnyNestedObject, type INamespace, type NamespaceBase, type Type } from "protobufjs";
import { describedMessages, isDescriptor } from "./protobuf-descriptor.ts";
import type { ReferredSchema } from "./schema-codec.ts";

/** What registries know without a reference to it. */
const BUILT_IN: ReadonlyMap<string, string> = new Map([
  [
    "confluent/type/decimal.proto",
    'syntax = "proto3"; package confluent.type; message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }',
  ],
]);

const MAIN = "";
/** What files import that define options of their own. */
const DESCRIPTOR = "google/protobuf/descriptor.proto";
const require = createRequire(import.meta.url);

/** The messages of the file, in its order. @throws the file, or one that it imports, is none */
export function messagesOf(schema: string, references: readonly ReferredSchema[]): readonly Type[] {
  if (isDescriptor(schema)) return describedMessages(schema, references);
  const files = new Map(references.map((reference) => [reference.name, reference.schema]));
  const { root, name } = parsedFile(schema, (imported) => files.get(imported));
  const scope = name === undefined ? root : (root.lookup(name) as NamespaceBase | null);
  const messages = typesIn(scope ?? root).filter((type) => type.filename === MAIN);
  if (messages.length === 0) throw new Error("the file has no message");
  return messages;
}

interface ParsedFile {
  readonly root: protobuf.Root;
  /** Its package. */
  readonly name: string | undefined;
}

/** Everything in the file, and in those that it imports; `textOf` gives these. @throws one of them is none, or lacks what it refers to */
export function parsedFile(schema: string, textOf: (imported: string) => string | undefined): ParsedFile {
  const root = new protobuf.Root();
  const taken = new Set<string>();
  const add = (name: string, text: string): string | undefined => {
    // Every type is told which file it is in; the declarations lack it.
    (protobuf.parse as { filename?: string }).filename = name;
    const parsed = protobuf.parse(text, root, { keepCase: true });
    for (const imported of [...(parsed.imports ?? []), ...(parsed.weakImports ?? [])]) {
      if (taken.has(imported)) continue;
      taken.add(imported);
      const common = nestedOf(imported);
      const known = common === undefined ? (textOf(imported) ?? BUILT_IN.get(imported)) : undefined;
      // The library's own first: their fields have the names that it expects.
      if (common !== undefined) root.addJSON(common);
      else if (known !== undefined) add(imported, known);
    }
    return parsed.package;
  };
  const name = add(MAIN, schema);
  root.resolveAll();
  return { root, name };
}

/** Files that come with the library. */
function nestedOf(file: string): Record<string, AnyNestedObject> | undefined {
  if (file === DESCRIPTOR) return (require("protobufjs/google/protobuf/descriptor.json") as INamespace).nested;
  return protobuf.common.get(file)?.nested ?? undefined;
}

export function typesIn(scope: NamespaceBase): readonly Type[] {
  return scope.nestedArray.filter((nested): nested is Type => nested instanceof protobuf.Type);
}

/** The message at these indexes. */
export function messageAt(messages: readonly Type[], indexes: readonly number[]): Type | undefined {
  const [first = -1, ...rest] = indexes;
  const type = messages[first];
  return type === undefined || rest.length === 0 ? type : messageAt(typesIn(type), rest);
}

/** Where the message of a full name is. */
export function indexesOf(messages: readonly Type[], name: string): readonly number[] | undefined {
  for (const [i, type] of messages.entries()) {
    if (nameOf(type) === name) return [i];
    const within = indexesOf(typesIn(type), name);
    if (within !== undefined) return [i, ...within];
  }
  return undefined;
}

/** Without the dot that the library puts before it. */
export const nameOf = (type: Type): string => type.fullName.replace(/^\./, "");
