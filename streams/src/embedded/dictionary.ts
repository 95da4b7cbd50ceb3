/**
 * Names that repeat in every event are stored as numbers. A number is given by the append that first uses the name and is
 * written in a control record of the same append, so that number and use become durable together.
 */
import { embeddedLogError } from "./errors.ts";
import { Generations } from "./generations.ts";

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
  /** By their numbers; some of them have no number as names. */
  readonly fixed: readonly string[];
  /** Numbers by names and names by numbers, of what the source has. */
  readonly numbers = new Generations<string, number>();
  readonly names = new Generations<number, string>();
  learned = new LearnedNames();
  /** What was learned before the source last caught up. */
  learnedBefore = new LearnedNames();
  next: number;

  constructor(fixed: readonly string[], next: number) {
    this.fixed = fixed;
    this.next = next;
  }

  numberOf(name: string): number | undefined {
    return this.learned.numbers.get(name) ?? this.learnedBefore.numbers.get(name) ?? this.#fixedNumberOf(name);
  }

  nameOf(number: number): string | undefined {
    return this.learned.names.get(number) ?? this.learnedBefore.names.get(number);
  }

  #fixedNumberOf(name: string): number | undefined {
    const number = name.startsWith("$") ? -1 : this.fixed.indexOf(name);
    return number < 0 ? undefined : number;
  }
}

/** Names that the source may not have yet. */
class LearnedNames {
  readonly numbers = new Map<string, number>();
  readonly names = new Map<number, string>();
}

/** Of each kind, in each direction, beside those that the source does not have. */
const NAMES_KEPT = 65_536;

export class Dictionary {
  readonly #kinds: Readonly<Record<NameKind, NamesOfKind>>;
  readonly #source: NameSource;
  readonly #turnAt: number;
  /** End of the log when names were last put aside: the source has them when it is here. */
  #asideEnd = 0;

  /** @param kept names of a kind in memory beside those that the source does not have, about; at least 2 */
  constructor(source: NameSource, kept: number = NAMES_KEPT) {
    this.#source = source;
    this.#turnAt = kept / 2;
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
    const known = this.#kinds[kind];
    const number = known.numbers.get(name) ?? known.numberOf(name);
    if (number !== undefined) return number;
    const stored = this.#source.numberOf(kind, name);
    if (stored !== undefined) this.#keep(known.numbers, name, stored);
    return stored;
  }

  /** @throws LOG-CORRUPT when no control record gave this number a name */
  nameOf(kind: NameKind, number: number): string {
    const known = this.#kinds[kind];
    const name = known.fixed[number] ?? known.names.get(number) ?? known.nameOf(number);
    if (name !== undefined) return name;
    const stored = this.#source.nameOf(kind, number);
    if (stored === undefined) throw embeddedLogError("LOG-CORRUPT", `${kind} ${number} has no name in the dictionary`);
    this.#keep(known.names, number, stored);
    return stored;
  }

  /** Gives the next number. The caller writes the name into the same append. */
  assign(kind: NameKind, name: string): Name {
    const entry = { kind, number: this.#kinds[kind].next, name };
    this.learn(entry);
    return entry;
  }

  /** A name that the source may not have: it stays until {@link indexed} says that it has. */
  learn({ kind, number, name }: Name): void {
    const known = this.#kinds[kind];
    known.learned.numbers.set(name, number);
    known.learned.names.set(number, name);
    if (number >= known.next) known.next = number + 1;
  }

  /**
   * The source has all names that events below `base` brought, of a log that ends at `end`. Names are learned with the event that brings
   * them, so those that were put aside when the log ended at or below `base` can be looked up.
   */
  indexed(base: number, end: number): void {
    if (base < this.#asideEnd) return;
    this.#asideEnd = end;
    for (const kind of NAME_KINDS) {
      const known = this.#kinds[kind];
      known.learnedBefore = known.learned;
      known.learned = new LearnedNames();
    }
  }

  #keep<K, V>(names: Generations<K, V>, key: K, value: V): void {
    if (names.size >= this.#turnAt) names.turn();
    names.set(key, value);
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
