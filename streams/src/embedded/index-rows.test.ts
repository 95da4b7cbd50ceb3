import { describe, expect, it } from "vitest";
import { memoryOrderedStore } from "../memory/mod.ts";
import type { ScannedBlock } from "./block-scanner.ts";
import { decodeLocations, POSTING_TABLE, positionKey, postingPrefix } from "./index-keys.ts";
import { IndexRows } from "./index-rows.ts";
import { StreamCategories } from "./list-rows.ts";
import { viewOf } from "./little-endian.ts";
import { CORRELATION, ID_BYTES, RECORD_HEADER_BYTES } from "./record.ts";

const FIRST = 1000;

describe("rows of a run", () => {
  it("tell correlations apart though every event comes in the same bytes", async () => {
    const bytes = Buffer.alloc(RECORD_HEADER_BYTES);
    const view = viewOf(bytes);
    view.setUint32(0, RECORD_HEADER_BYTES, true);
    const block = { bytes, view, at: 0, serial: 1, offset: 4096 } as unknown as ScannedBlock;
    const rows = new IndexRows(1, FIRST);
    for (const id of [1, 1, 2, 1, 2]) {
      bytes.fill(id, CORRELATION, CORRELATION + ID_BYTES);
      rows.addEvent(block, 0);
    }
    const store = memoryOrderedStore();
    await store.transact((tx) => rows.writeTo(tx, new StreamCategories()));
    for (const [id, events] of [
      [1, [0, 1, 3]],
      [2, [2, 4]],
    ] as const) {
      const prefix = postingPrefix("correlation", Buffer.alloc(ID_BYTES, id));
      const entry = store.get(POSTING_TABLE, Buffer.concat([prefix, positionKey(FIRST + events[0])]));
      const positions = entry === undefined ? [] : decodeLocations(entry).map(({ position }) => position);
      expect(positions).toEqual(events.map((event) => FIRST + event));
    }
  });
});
