/** Payloads as bytes: msgpack of any {@link StateEvent}. */
import type { StateEvent } from "../behavior/committed-behavior.ts";
import { engineError } from "../errors.ts";
import { Msgpack } from "../msgpack/msgpack.ts";
import { isTooDeep } from "./packed-depth.ts";

const msgpack = new Msgpack();

/** For payloads of events and for snapshots: any {@link StateEvent} as bytes. @throws MSG-SIZE it is nested too deeply */
export function packState(value: StateEvent): Uint8Array {
  return packed(value);
}

/** The same behind other bytes, fewer than 256, without copying. @throws MSG-SIZE */
export function packStateBehind(lead: Uint8Array, value: StateEvent): Uint8Array {
  const bytes = packed(value, lead.length);
  bytes.set(lead);
  return bytes;
}

function packed(value: StateEvent, lead = 0): Uint8Array {
  try {
    const bytes = msgpack.pack(value, lead);
    if (!isTooDeep(bytes, lead)) return bytes;
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
  }
  throw engineError("MSG-SIZE", "a value is nested too deeply to be written: more than 500");
}

/** @param start where the payload begins */
export function unpackState(bytes: Uint8Array, start = 0): StateEvent {
  return msgpack.unpack(bytes, start) as StateEvent;
}
