/** However many streams are carried, only a piece of them is in memory: seen by what is written, read and put at once. */
import type { Disk, DiskFile, OrderedStore } from "@millrace/engine";
import { SimulatedDisk, SimulatedMount, virtualEnv } from "@millrace/engine/testing";
import { expect, it } from "vitest";
import { memoryOrderedStore } from "../memory/memory-ordered-store.ts";
import { Carry } from "./carry.ts";
import { type CarryFile, carryFileAt, StoredCarry, writeCarry } from "./carry-file.ts";
import { Dictionary } from "./dictionary.ts";
import { LogIndex } from "./log-index.ts";

const STREAMS = 12_000;
const METADATA_BYTES = 600;
/** What one piece may take; all of it takes far more. */
const PIECE_BYTES_MAX = 300 * 1024;
const ROWS_MAX = 1024;

const env = virtualEnv("carry");
const mount = new SimulatedMount(new SimulatedDisk({ env, random: env.random.fork("disk") }));
const until = <T>(promise: Promise<T>): Promise<T> => env.until(promise);

/** The largest piece that went to or came from a disk, and all of them. */
function measured(disk: Disk): { readonly disk: Disk; readonly largest: () => number; readonly total: () => number } {
  let largest = 0;
  let total = 0;
  const count = (bytes: number): void => {
    largest = Math.max(largest, bytes);
    total += bytes;
  };
  const open: Disk["open"] = async (path, options) => {
    const file = await disk.open(path, options);
    const { read, write } = file;
    return Object.assign(Object.create(file) as DiskFile, {
      read: (into: Uint8Array, position: number) => {
        count(into.length);
        return read.call(file, into, position);
      },
      write: (bytes: Uint8Array, position: number) => {
        count(bytes.length);
        return write.call(file, bytes, position);
      },
      close: () => file.close(),
      size: () => file.size(),
      sync: () => file.sync(),
    });
  };
  const measuring = Object.assign(Object.create(disk) as Disk, {
    open,
    stat: disk.stat.bind(disk),
    rename: disk.rename.bind(disk),
    syncDirectory: disk.syncDirectory.bind(disk),
    list: disk.list.bind(disk),
  });
  return { disk: measuring, largest: () => largest, total: () => total };
}

function added(from: number, to: number, revision: number): Carry {
  const carry = new Carry();
  carry.timeMs = revision;
  for (let stream = from; stream < to; stream++) {
    if (revision === 0) carry.names.push({ kind: "stream", number: stream, name: `stream-${stream}` });
    const record = stream % 10 === 0 ? Buffer.alloc(METADATA_BYTES, stream) : undefined;
    carry.ends.set(stream, { revision, type: 16, schemaVersion: 1, record });
  }
  return carry;
}

async function carried(): Promise<CarryFile> {
  await until(mount.makeDirectory("/log"));
  const first = await until(writeCarry(mount, "/log", 2, null, added(1, STREAMS, 0)));
  expect(first.file).toBe("carry-0000000002.bin");
  return first;
}

it("is written, merged with what was before and read in pieces", async () => {
  const first = await carried();
  const { disk, largest, total } = measured(mount);
  const second = await until(writeCarry(disk, "/log", 3, first, added(STREAMS - 5, STREAMS + 5, 7)));
  const stored = await until(StoredCarry.open(disk, "/log", second));
  expect(stored.timeMs).toBe(7);
  const revisions = new Map<number, number>();
  const reading = async (): Promise<void> => {
    for await (const [stream, end] of stored.ends()) {
      expect(revisions.has(stream)).toBe(false);
      revisions.set(stream, end.revision);
      const record = stream % 10 === 0 ? Buffer.alloc(METADATA_BYTES, stream) : undefined;
      if (record !== undefined) expect(record.equals(end.record ?? Buffer.alloc(0))).toBe(true);
    }
  };
  await until(reading());
  expect([...revisions.keys()].sort((a, b) => a - b)).toEqual(Array.from({ length: STREAMS + 4 }, (_, i) => i + 1));
  expect(revisions.get(STREAMS - 6)).toBe(0);
  expect(revisions.get(STREAMS - 5)).toBe(7);
  expect(largest()).toBeLessThan(PIECE_BYTES_MAX);
  expect(total()).toBeGreaterThan(8 * PIECE_BYTES_MAX);
  expect(await until(carryFileAt(disk, "/log", second.file))).toEqual(second);
});

it("goes into an index in transactions of a bounded size, and tells which numbers are taken", async () => {
  const stored = await until(StoredCarry.open(mount, "/log", await carried()));
  const store = memoryOrderedStore();
  const sizes: number[] = [];
  const counting = Object.assign(Object.create(store) as OrderedStore, {
    transact: (write: Parameters<OrderedStore["transact"]>[0]) =>
      store.transact((tx) => {
        let rows = 0;
        const result = write(
          Object.assign(Object.create(tx) as typeof tx, {
            get: tx.get.bind(tx),
            put: (...row: Parameters<typeof tx.put>) => {
              rows++;
              return tx.put(...row);
            },
          }),
        );
        sizes.push(rows);
        return result;
      }),
  });
  const index = new LogIndex(store);
  const names = new Dictionary(index);
  await until(stored.writeNamesTo(counting, names));
  await until(stored.writeTo(counting, 100));
  // A name is a row each way.
  expect(Math.max(...sizes)).toBeLessThanOrEqual(2 * ROWS_MAX);
  expect(sizes.length).toBeGreaterThan(20);
  expect(names.assign("stream", "new").number).toBe(STREAMS);
  expect(names.numberOf("stream", "stream-77")).toBe(77);
  expect(index.headOf(77)).toBe(0);
  expect(index.carriedBase()).toBe(100);
});
