import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type EventLog, systemEnv } from "@millrace/engine";
import { sampleEvent } from "@millrace/engine/testing";
import { type LmdbStore, openLmdbStore } from "@millrace/native";
import { type EmbeddedLog, openEmbeddedLog, systemDisk } from "@millrace/streams/embedded";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { IndexThread } from "./index-thread.ts";

// A thread runs built code; `npm test` builds before it tests.
const BUILT = new URL("../../dist/host/index-worker.js", import.meta.url);
const STREAMS = 7;

let folder: string;
let store: LmdbStore;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "millrace-index-thread-"));
  store = await openLmdbStore({ dir: join(folder, "index") });
});

afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

function open(entry: URL, smallEventsMax = 0, tailEventsMax = 1_000_000): Promise<EmbeddedLog> {
  return openEmbeddedLog({
    directory: join(folder, "log"),
    disk: systemDisk(),
    env: systemEnv(),
    indexStore: store,
    indexer: new IndexThread({ store, kernels: undefined, entry, smallEventsMax }).of,
    segmentBytes: 1024 * 1024,
    indexLingerMs: 1,
    tailEventsMax,
  });
}

async function appendTo(log: EventLog, from: number, to: number): Promise<void> {
  const appended = [];
  for (let i = from; i < to; i++) {
    const event = sampleEvent({ type: i % 3 === 0 ? "Third" : "Other", payload: Buffer.from(String(i)) });
    appended.push(log.append([{ stream: `stream-${i % STREAMS}`, expected: "any", events: [event] }]));
  }
  await Promise.all(appended);
}

async function payloads(batches: AsyncIterable<readonly { readonly payload: Uint8Array }[]>): Promise<number[]> {
  const found: number[] = [];
  for await (const events of batches) for (const { payload } of events) found.push(Number(Buffer.from(payload)));
  return found;
}

const numbers = (to: number, passes: (i: number) => boolean): number[] =>
  Array.from({ length: to }, (_, i) => i).filter(passes);

describe.runIf(existsSync(BUILT))("the index thread", () => {
  test("what it indexed is found by stream and type, also after the log is opened again", async () => {
    const log = await open(BUILT);
    await appendTo(log, 0, 10_000);
    await log.indexed();
    await appendTo(log, 10_000, 12_000);
    await log.indexed();
    expect(log.health.indexLag).toBe(0);
    expect(await payloads(log.readStream("stream-2"))).toEqual(numbers(12_000, (i) => i % STREAMS === 2));
    await log.close();
    const again = await open(BUILT);
    expect(await again.head("stream-0")).toBe(Math.floor(11_999 / STREAMS));
    expect(await payloads(again.read({ filter: { types: ["Third"] } }))).toEqual(numbers(12_000, (i) => i % 3 === 0));
    await again.close();
  });

  test("what it makes of a log without an index is found", async () => {
    const log = await open(BUILT);
    await appendTo(log, 0, 3000);
    await log.close();
    await store.close();
    store = await openLmdbStore({ dir: join(folder, "another") });
    const again = await open(BUILT, 0, 100);
    expect(again.health.indexLag).toBe(0);
    expect(await again.head("stream-0")).toBe(Math.floor(2999 / STREAMS));
    expect(await payloads(again.readStream("stream-3"))).toEqual(numbers(3000, (i) => i % STREAMS === 3));
    await appendTo(again, 3000, 3100);
    await again.indexed();
    expect(await payloads(again.read({ filter: { types: ["Third"] } }))).toEqual(numbers(3100, (i) => i % 3 === 0));
    await again.close();
  });

  test("small jobs are done without it, and large ones after them with it", async () => {
    const log = await open(BUILT, 100);
    await appendTo(log, 0, 50);
    await log.indexed();
    await appendTo(log, 50, 5000);
    await log.indexed();
    expect(await payloads(log.readStream("stream-3"))).toEqual(numbers(5000, (i) => i % STREAMS === 3));
    expect(await payloads(log.read({ filter: { types: ["Third"] } }))).toEqual(numbers(5000, (i) => i % 3 === 0));
    await log.close();
  });

  test("a thread that fails is reported, appends and reads go on, and the index is written at the next opening", async () => {
    const log = await open(new URL("data:text/javascript,throw new Error('no thread today')"));
    await appendTo(log, 0, 500);
    const why = { code: "STORE-FAILED", message: expect.stringContaining("no thread today") };
    await expect.poll(() => log.health.index).toMatchObject(why);
    expect(await payloads(log.readStream("stream-1"))).toEqual(numbers(500, (i) => i % STREAMS === 1));
    await log.close();
    const again = await open(BUILT);
    await again.indexed();
    expect(again.health.indexLag).toBe(0);
    expect(await payloads(again.readStream("stream-1"))).toEqual(numbers(500, (i) => i % STREAMS === 1));
    await again.close();
  });
});
