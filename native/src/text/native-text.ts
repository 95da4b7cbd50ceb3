/** Plain records of CSV and NDJSON files by the addon (native/crates/text-columns). */
import type { CellType, RecordKernel, TextKernels } from "@millrace/engine";
import { loadAddon } from "../addon.ts";

const TYPES: readonly CellType[] = [undefined, "text", "number", "boolean"];

/** `undefined` without the addon. */
export function nativeText(): TextKernels | undefined {
  const addon = loadAddon();
  if (addon === undefined) return undefined;
  return {
    csv(delimiter, types, recordBytesMax): RecordKernel | undefined {
      if (!/^[^"\r\n\0\u0080-\uffff]$/.test(delimiter)) return undefined;
      const numbers = Uint8Array.from(types, (type) => TYPES.indexOf(type));
      return new addon.CsvRecords(delimiter.charCodeAt(0), numbers, recordBytesMax);
    },
    json: (names, recordBytesMax) => new addon.JsonRecords([...names], recordBytesMax),
  };
}
