/** Payloads as bytes: msgpack of any {@link StateEvent}. */
import { Packr, Unpackr } from "msgpackr";
import type { StateEvent } from "../behavior/committed-behavior.ts";

const packr = new Packr({ useRecords: false });
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: "number" });

/** For payloads of events and for snapshots: any {@link StateEvent} as bytes. */
export function packState(value: StateEvent): Uint8Array {
  return packr.pack(value);
}

export function unpackState(bytes: Uint8Array): StateEvent {
  return unpackr.unpack(bytes) as StateEvent;
}
