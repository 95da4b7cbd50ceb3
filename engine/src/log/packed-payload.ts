/** Payloads as bytes: msgpack of any {@link StateEvent}. */
import { Packr, Unpackr } from "msgpackr";
import type { StateEvent } from "../behavior/committed-behavior.ts";
import { engineError } from "../errors.ts";

const packr = new Packr({ useRecords: false });
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: "number" });

/** For payloads of events and for snapshots: any {@link StateEvent} as bytes. @throws MSG-SIZE it is nested too deeply */
export function packState(value: StateEvent): Uint8Array {
  try {
    return packr.pack(value);
  } catch (cause) {
    // What can be written can be read again: reading takes less of the stack.
    if (!(cause instanceof RangeError)) throw cause;
    throw engineError("MSG-SIZE", "a value is nested too deeply to be written", { cause });
  }
}

export function unpackState(bytes: Uint8Array): StateEvent {
  return unpackr.unpack(bytes) as StateEvent;
}
