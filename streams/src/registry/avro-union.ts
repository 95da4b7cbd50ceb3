/** Unions of Avro: which branch a value is of. */
import { isJsonObject, type Json } from "@millrace/engine";
import { AvroWriter } from "./avro-bytes.ts";
import type { AvroForm } from "./avro-form.ts";
import { ValueFault, within } from "./errors.ts";
import { shown } from "./whole-number.ts";

export interface Branch {
  readonly name: string;
  readonly form: AvroForm;
}

/** Of one branch beside `null` the value itself; of any other `{<branch>: value}`. */
export function union(branches: readonly Branch[]): AvroForm {
  const isTagged = branches.filter(({ name }) => name !== "null").length > 1;
  const names = branches.map(({ name }) => name);
  const write = (writer: AvroWriter, name: string, value: Json | undefined): void => {
    const index = names.indexOf(name);
    writer.long(BigInt(index));
    (branches[index] as Branch).form.write(writer, value);
  };
  return {
    read(reader) {
      const index = reader.int();
      const branch = branches[index];
      if (branch === undefined) throw new ValueFault(`a union has no branch ${index}`);
      if (!isTagged || branch.name === "null") return branch.form.read(reader);
      try {
        return { [branch.name]: branch.form.read(reader) };
      } catch (error) {
        throw within(error, branch.name);
      }
    },
    write(writer, value) {
      if ((value === undefined || value === null) && names.includes("null")) return write(writer, "null", null);
      if (!isTagged) return write(writer, names.find((name) => name !== "null") ?? "null", value);
      const tag = tagOf(value, names);
      if (tag === undefined) return write(writer, onlyBranch(branches, value), value);
      try {
        write(writer, tag.name, tag.value);
      } catch (error) {
        throw within(error, tag.name);
      }
    },
  };
}

function tagOf(
  value: Json | undefined,
  names: readonly string[],
): { readonly name: string; readonly value: Json } | undefined {
  if (!isJsonObject(value)) return undefined;
  const [entry, ...others] = Object.entries(value);
  if (entry === undefined || others.length > 0 || !names.includes(entry[0])) return undefined;
  return { name: entry[0], value: entry[1] };
}

/** A value without its branch's name, which only one branch can take. @throws ValueFault */
function onlyBranch(branches: readonly Branch[], value: Json | undefined): string {
  const fitting = branches.filter(({ form }) => {
    try {
      form.write(new AvroWriter(), value);
      return true;
    } catch {
      return false;
    }
  });
  const [one, ...others] = fitting;
  if (one !== undefined && others.length === 0) return one.name;
  const names = (fitting.length === 0 ? branches : fitting).map(({ name }) => name).join(", ");
  const message = fitting.length === 0 ? `none of the branches ${names} takes` : `several branches, ${names}, take`;
  throw new ValueFault(`${message} ${shown(value)}; write {<branch>: value}`);
}
