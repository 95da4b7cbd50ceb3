/**
 * JSON and bytes as msgpack, and back. Every object comes out as it went in, whatever its fields are called: the library renames a
 * field `__proto__`, and takes a field `toJSON` for a function where another is called `constructor`.
 */
import { Packr, RESERVE_START_SPACE, Unpackr } from "msgpackr";
import { setField } from "../frame/field.ts";
import { mayHavePrototypeKey } from "./prototype-key.ts";

export interface MsgpackOptions {
  /**
   * The bytes go to other programs and come from them: maps take as few as they can, and texts may be written in any way that there is.
   * Without it both cost less. Default false.
   */
  readonly isForeign?: boolean;
  /** What becomes of an integer beyond 2^53: the nearest number, or a bigint, which is no JSON. Default `nearest`. */
  readonly integers?: "nearest" | "exact";
}

export class Msgpack {
  readonly #packr: Packr;
  readonly #objects: Unpackr;
  readonly #isForeign: boolean;
  /** Gives maps, which keep every name, for the few values that need it. */
  readonly #maps: Unpackr;

  constructor({ isForeign = false, integers = "nearest" }: MsgpackOptions = {}) {
    this.#isForeign = isForeign;
    // msgpackr knows "auto", its types do not.
    const int64AsType = integers === "exact" ? ("auto" as "number") : "number";
    this.#packr = new Packr({ useRecords: false, variableMapSize: isForeign, useToJSON: false });
    this.#objects = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType });
    this.#maps = new Unpackr({ useRecords: false, mapsAsObjects: false, int64AsType });
  }

  /** @param lead bytes that are left free before the value, fewer than 256 */
  pack(value: unknown, lead = 0): Buffer {
    const options = lead === 0 ? undefined : RESERVE_START_SPACE | lead;
    try {
      return this.#packr.pack(value, options);
    } catch (cause) {
      // Nested too deeply, it is so for all.
      if (cause instanceof RangeError) throw cause;
      return wide.pack(value, options);
    }
  }

  /**
   * @param start where the value begins, which goes on to the end
   * @throws Error these bytes are no value
   */
  unpack(bytes: Uint8Array, start = 0): unknown {
    const range = start === 0 ? undefined : { start, end: bytes.length };
    if (mayHavePrototypeKey(bytes, start, this.#isForeign)) return withObjects(this.#maps.unpack(bytes, range));
    return this.#objects.unpack(bytes, range);
  }
}

/** For objects of more than 65 535 fields, which are not written fast. */
const wide = new Packr({ useRecords: false, variableMapSize: true, useToJSON: false });

function withObjects(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withObjects);
  if (!(value instanceof Map)) return value;
  const row: Record<string, unknown> = {};
  for (const [key, field] of value as ReadonlyMap<unknown, unknown>) setField(row, nameOf(key), withObjects(field));
  return row;
}

/** Other languages have maps with other keys. */
function nameOf(key: unknown): string {
  if (typeof key === "object" && key !== null) throw new TypeError("a key of a map is no text");
  return String(key);
}
