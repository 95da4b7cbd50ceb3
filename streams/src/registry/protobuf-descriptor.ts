/**
 * Files of Protobuf as their compiler describes them, in base64: some clients register them so, and some registries give them
 * out as they came.
 */
import protobuf, { type INamespace, type Type } from "protobufjs";
import descriptor, { type IDescriptorProto, type IFileDescriptorProto } from "protobufjs/ext/descriptor.js";
import type { ReferredSchema } from "./schema-codec.ts";

/** Text of a file has blanks or a semicolon. */
export const isDescriptor = (schema: string): boolean => /^[A-Za-z0-9+/]+={0,2}$/.test(schema.trim());

/** The messages of the file, in its order. @throws the file, or one that it imports, is none */
export function describedMessages(schema: string, references: readonly ReferredSchema[]): readonly Type[] {
  const decoded = (text: string): IFileDescriptorProto =>
    descriptor.FileDescriptorProto.decode(Buffer.from(text, "base64")) as IFileDescriptorProto;
  const main = decoded(schema);
  const others = new Map(references.map((reference) => [reference.name, reference.schema]));
  const files = new Map<string, readonly IFileDescriptorProto[]>();
  const add = (name: string): void => {
    if (files.has(name)) return;
    const text = others.get(name);
    const nested = protobuf.common.get(name)?.nested;
    if (nested !== undefined && nested !== null) files.set(name, commonFile(nested));
    else if (text !== undefined) {
      const file = decoded(text);
      for (const other of file.dependency ?? []) add(other);
      files.set(name, [file]);
    }
  };
  for (const other of main.dependency ?? []) add(other);
  const root = protobuf.Root.fromDescriptor({ file: [...[...files.values()].flat(), main] });
  const prefix = (main.package ?? "") === "" ? "" : `${main.package}.`;
  const messages = (main.messageType ?? []).map(({ name }) => root.lookupType(`${prefix}${name}`));
  if (messages.length === 0) throw new Error("the file has no message");
  return messages;
}

/** Everything in a set of files, as compilers write it; each file stands behind those that it imports. @throws it is none */
export function describedRoot(set: Uint8Array): protobuf.Root {
  const { file: files = [] } = descriptor.FileDescriptorSet.decode(set) as { readonly file?: IFileDescriptorProto[] };
  if (files.length === 0) throw new Error("it holds no file");
  const known = files.flatMap((file) => {
    const nested = protobuf.common.get(file.name ?? "")?.nested;
    // The library's own have the fields that it expects.
    if (nested !== undefined && nested !== null) return commonFile(nested);
    for (const type of file.messageType ?? []) forgetJsonNames(type);
    return [file];
  });
  const root = protobuf.Root.fromDescriptor({ file: known });
  root.resolveAll();
  return root;
}

/** The library would call fields by these. */
function forgetJsonNames({ field: fields = [], nestedType = [] }: IDescriptorProto): void {
  for (const field of fields) field.jsonName = "";
  for (const type of nestedType) forgetJsonNames(type);
}

function commonFile(nested: NonNullable<INamespace["nested"]>): readonly IFileDescriptorProto[] {
  const root = new protobuf.Root();
  root.addJSON(nested);
  root.resolveAll();
  return root.toDescriptor("proto3").file ?? [];
}
