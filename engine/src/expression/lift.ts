/**
 * Evaluation per dictionary entry instead of per message. Whatever an expression computes from one dictionary column depends
 * on the entry alone, so it is computed when the entry is first met and kept as long as the dictionary lives. Dictionaries only
 * grow; the caches follow their length.
 */
import { Dictionary } from "../frame/column.ts";
import type { Json } from "../frame/json.ts";
import { Failed } from "./failed.ts";
import type { Row } from "./row-context.ts";
import { type CelValue, toJson } from "./values.ts";

/** A cell whose result only the row form can tell: a failure, or a type that does not fit. */
export const UNSURE = 2;

/** Bound to one subexpression that reads `event.<field>` and nothing else of the message. */
export class Lift {
  readonly field: string;
  readonly #evaluate: (entry: Json) => CelValue;
  readonly #masks = new PerDictionary(() => new MaskEntries());
  readonly #doubles = new PerDictionary(() => new NumberEntries("number"));
  readonly #ints = new PerDictionary(() => new NumberEntries("bigint"));
  readonly #results: PerDictionary<ResultEntries>;

  constructor(field: string, row: Row, at: number) {
    this.field = field;
    this.#results = new PerDictionary(() => new ResultEntries(at));
    this.#evaluate = (entry) => {
      try {
        return row({ [field]: entry });
      } catch (thrown) {
        if (!(thrown instanceof Failed)) throw thrown;
        return thrown;
      }
    };
  }

  /** For each entry: 0 false, 1 true, {@link UNSURE}. */
  masks(dictionary: Dictionary): MaskEntries {
    return this.#masks.of(dictionary, this.#evaluate);
  }

  /** For each entry its number; `int` tells which of CEL's types is meant, the other one is unsure. */
  numbers(dictionary: Dictionary, int: boolean): NumberEntries {
    return (int ? this.#ints : this.#doubles).of(dictionary, this.#evaluate);
  }

  /** For each entry the code of its result in another dictionary. */
  results(dictionary: Dictionary): ResultEntries {
    return this.#results.of(dictionary, this.#evaluate);
  }
}

interface Entries {
  /** Makes room for `length` entries. */
  reserve(length: number): void;
  put(code: number, result: CelValue): void;
}

/** One cache per dictionary, the last one used at hand: frames of a lane share theirs. */
class PerDictionary<E extends Entries> {
  readonly #make: () => E;
  readonly #all = new WeakMap<Dictionary, { readonly entries: E; known: number }>();
  #last: { readonly dictionary: Dictionary; readonly cache: { readonly entries: E; known: number } } | undefined;

  constructor(make: () => E) {
    this.#make = make;
  }

  of(dictionary: Dictionary, evaluate: (entry: Json) => CelValue): E {
    const cache = this.#cache(dictionary);
    const { length } = dictionary.values;
    if (cache.known < length) {
      cache.entries.reserve(length);
      for (; cache.known < length; cache.known++)
        cache.entries.put(cache.known, evaluate(dictionary.values[cache.known] ?? null));
    }
    return cache.entries;
  }

  #cache(dictionary: Dictionary): { readonly entries: E; known: number } {
    if (this.#last?.dictionary === dictionary) return this.#last.cache;
    let cache = this.#all.get(dictionary);
    if (cache === undefined) {
      cache = { entries: this.#make(), known: 0 };
      this.#all.set(dictionary, cache);
    }
    this.#last = { dictionary, cache };
    return cache;
  }
}

function grown<A extends Uint8Array | Int32Array | Float64Array>(
  array: A,
  length: number,
  make: (length: number) => A,
): A {
  if (array.length >= length) return array;
  const larger = make(Math.max(length, array.length * 2, 64));
  larger.set(array);
  return larger;
}

export class MaskEntries implements Entries {
  values: Uint8Array = new Uint8Array(0);

  reserve(length: number): void {
    this.values = grown(this.values, length, (n) => new Uint8Array(n));
  }

  put(code: number, result: CelValue): void {
    this.values[code] = result === true ? 1 : result === false ? 0 : UNSURE;
  }
}

export class NumberEntries implements Entries {
  readonly #type: "number" | "bigint";
  values: Float64Array = new Float64Array(0);
  /** 1 where the entry gives no number of the type. */
  unsure: Uint8Array = new Uint8Array(0);

  constructor(type: "number" | "bigint") {
    this.#type = type;
  }

  reserve(length: number): void {
    this.values = grown(this.values, length, (n) => new Float64Array(n));
    this.unsure = grown(this.unsure, length, (n) => new Uint8Array(n));
  }

  put(code: number, result: CelValue): void {
    const fits = typeof result === this.#type && (typeof result === "number" || Number.isSafeInteger(Number(result)));
    this.values[code] = fits ? Number(result) : Number.NaN;
    this.unsure[code] = fits ? 0 : 1;
  }
}

export class ResultEntries implements Entries {
  static readonly NULL = -1;
  static readonly FAILED = -2;
  readonly dictionary: Dictionary = new Dictionary();
  /** Code in {@link dictionary}, {@link NULL} or {@link FAILED}. */
  codes: Int32Array = new Int32Array(0);
  readonly #at: number;

  constructor(at: number) {
    this.#at = at;
  }

  reserve(length: number): void {
    this.codes = grown(this.codes, length, (n) => new Int32Array(n));
  }

  put(code: number, result: CelValue): void {
    this.codes[code] = this.#codeOf(result);
  }

  #codeOf(result: CelValue): number {
    if (result === null) return ResultEntries.NULL;
    if (result instanceof Failed) return ResultEntries.FAILED;
    try {
      return this.dictionary.code(toJson(result, this.#at));
    } catch (thrown) {
      if (!(thrown instanceof Failed)) throw thrown;
      return ResultEntries.FAILED;
    }
  }
}
