/**
 * Names that repeat in every event are stored as numbers. A number is given by the append that first uses the name and is
 * written in a control record of the same append, so that number and use become durable together.
 */
import { embeddedLogError } from "./errors.ts";

export const NAME_KINDS = ["stream", "type", "principal", "tenant", "codeVersion", "graph", "node"] as const;
export type NameKind = (typeof NAME_KINDS)[number];

/** Stream of all control records. */
export const CONTROL_STREAM = "$log";
/** Types of control records, by their fixed numbers. */
export const CONTROL_TYPES = ["$name", "$tail-cut", "$truncated"] as const;
export const TYPE_NAME = 0;
export const TYPE_TAIL_CUT = 1;
export const TYPE_TRUNCATED = 2;
/** The first number a type of a caller gets. */
const FIRST_TYPE = 16;

export const NAME_BYTES_MAX = 65_535;
const ENTRY_HEADER_BYTES = 8;

export interface Name {
  readonly kind: NameKind;
  readonly number: number;
  readonly name: string;
}

/** Names that are not in memory: those the index holds. */
export interface NameSource {
  numberOf(kind: NameKind, name: string): number | undefined;
  nameOf(kind: NameKind, number: number): string | undefined;
}

class NamesOfKind {
  readonly numbers = new Map<string, number>();
  readonly names = new Map<number, string>();
  next: number;

  constructor(fixed: readonly string[], next: number) {
    this.next = next;
    for (const [number, name] of fixed.entries()) {
      this.names.set(number, name);
      if (!name.startsWith("$")) this.numbers.set(name, number);
    }
  }
}

export class Dictionary {
  readonly #kinds: Readonly<Record<NameKind, NamesOfKind>>;
  readonly #source: NameSource;

  constructor(source: NameSource) {
    this.#source = source;
    this.#kinds = {
      stream: new NamesOfKind([CONTROL_STREAM], 1),
      type: new NamesOfKind(CONTROL_TYPES, FIRST_TYPE),
      principal: new NamesOfKind([""], 1),
      tenant: new NamesOfKind([""], 1),
      codeVersion: new NamesOfKind([""], 1),
      graph: new NamesOfKind([""], 1),
      node: new NamesOfKind([""], 1),
    };
  }

  numberOf(kind: NameKind, name: string): number | undefined {
    const names = this.#kinds[kind];
    const number = names.numbers.get(name);
    if (number !== undefined) return number;
    const stored = this.#source.numberOf(kind, name);
    if (stored !== undefined) this.learn({ kind, number: stored, name });
    return stored;
  }

  /** @throws LOG-CORRUPT when no control record gave this number a name */
  nameOf(kind: NameKind, number: number): string {
    const names = this.#kinds[kind];
    const name = names.names.get(number) ?? this.#source.nameOf(kind, number);
    if (name === undefined) throw embeddedLogError("LOG-CORRUPT", `${kind} ${number} has no name in the dictionary`);
    names.names.set(number, name);
    return name;
  }

  /** Gives the next number. The caller writes the name into the same append. */
  assign(kind: NameKind, name: string): Name {
    const entry = { kind, number: this.#kinds[kind].next, name };
    this.learn(entry);
    return entry;
  }

  learn({ kind, number, name }: Name): void {
    const names = this.#kinds[kind];
    names.numbers.set(name, number);
    names.names.set(number, name);
    if (number >= names.next) names.next = number + 1;
  }

  /** The next number of each kind, in the order of {@link NAME_KINDS}. */
  nextNumbers(): readonly number[] {
    return NAME_KINDS.map((kind) => this.#kinds[kind].next);
  }

  /** Numbers below these are taken, whether or not their names are in memory. */
  restoreNextNumbers(next: readonly number[]): void {
    for (const [i, kind] of NAME_KINDS.entries())
      this.#kinds[kind].next = Math.max(this.#kinds[kind].next, next[i] ?? 0);
  }
}

/** The payload of a `$name` record. */
export function encodeNames(names: readonly Name[]): Buffer {
  const parts = names.map(({ kind, number, name }) => {
    const text = Buffer.from(name, "utf8");
    const header = Buffer.alloc(ENTRY_HEADER_BYTES);
    header.writeUInt8(NAME_KINDS.indexOf(kind), 0);
    header.writeUInt16LE(text.length, 2);
    header.writeUInt32LE(number, 4);
    return Buffer.concat([header, text]);
  });
  return Buffer.concat(parts);
}

/** @throws LOG-CORRUPT when the payload is none */
export function decodeNames(payload: Uint8Array): Name[] {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  const names: Name[] = [];
  let at = 0;
  while (at + ENTRY_HEADER_BYTES <= bytes.length) {
    const kind = NAME_KINDS[bytes.readUInt8(at)];
    const end = at + ENTRY_HEADER_BYTES + bytes.readUInt16LE(at + 2);
    if (kind === undefined || end > bytes.length) break;
    names.push({
      kind,
      number: bytes.readUInt32LE(at + 4),
      name: bytes.toString("utf8", at + ENTRY_HEADER_BYTES, end),
    });
    at = end;
  }
  if (at !== bytes.length) throw embeddedLogError("LOG-CORRUPT", "a name record does not decode");
  return names;
}
