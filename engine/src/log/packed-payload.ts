/** Payloads as bytes: msgpack of any {@link StateEvent}. */
import { Packr, RESERVE_START_SPACE, Unpackr } from "msgpackr";
import type { StateEvent } from "../behavior/committed-behavior.ts";
import { engineError } from "../errors.ts";
import { isTooDeep } from "./packed-depth.ts";

const packr = new Packr({ useRecords: false });
/** Of the options of msgpackr: how many bytes are left free before the value. */
const LEAD_MASK = 0xff;
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: "number" });

/** For payloads of events and for snapshots: any {@link StateEvent} as bytes. @throws MSG-SIZE it is nested too deeply */
export function packState(value: StateEvent): Uint8Array {
  return packed(value);
}

/** The same behind other bytes, fewer than 256, without copying. @throws MSG-SIZE */
export function packStateBehind(lead: Uint8Array, value: StateEvent): Uint8Array {
  const bytes = packed(value, RESERVE_START_SPACE | lead.length);
  bytes.set(lead);
  return bytes;
}

function packed(value: StateEvent, options?: number): Uint8Array {
  try {
    const bytes = packr.pack(value, options);
    if (!isTooDeep(bytes, options === undefined ? 0 : options & LEAD_MASK)) return bytes;
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
  }
  throw engineError("MSG-SIZE", "a value is nested too deeply to be written: more than 500");
}

/** @param start where the payload begins */
export function unpackState(bytes: Uint8Array, start = 0): StateEvent {
  return (start === 0 ? unpackr.unpack(bytes) : unpackr.unpack(bytes, { start, end: bytes.length })) as StateEvent;
}
