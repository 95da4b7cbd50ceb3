/**
 * A source that could give far more than ten times what its sink takes, for a minute: memory must stay flat, because credit holds
 * the source, and every message must arrive once. Ends with 1 when memory grew by more than its bound.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { field, filter } from "@millrace/actors";
import { GraphRuntime, Positions, RowBatch, systemEnv } from "@millrace/engine";
import { openEmbeddedLog, systemDisk } from "@millrace/streams/embedded";
import { memoryOrderedStore } from "@millrace/streams/memory";
import { judge } from "./bounds.mjs";

/** Messages per second that the sink takes. */
const SINK_RATE = 20_000;
const GROWTH_MIB_MAX = 64;
const PAYLOAD = "x".repeat(200);

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Gives rows as fast as it is asked; `asked` tells how long it was not. */
function eager(total, seen) {
  return {
    capabilities: { replay: true, ordered: true, bounded: true },
    partitions: async () => ["0"],
    open: async (_partition, after) => {
      let at = after + 1;
      return {
        close: async () => undefined,
        read: async (most) => {
          if (at >= total) return "end";
          const started = performance.now();
          const n = Math.min(most, total - at);
          const rows = Array.from({ length: n }, (_, i) => ({ id: at + i, on: true, payload: `${PAYLOAD}${at + i}` }));
          const read = {
            batch: new RowBatch(rows),
            positions: Positions.dense(at, n),
            through: at + n - 1,
            rejected: [],
          };
          at += n;
          seen.readMs += performance.now() - started;
          return read;
        },
      };
    },
  };
}

/** Takes its time over every step; counts what came, and what came twice. */
function slowSink(got) {
  let taken = 0;
  return {
    kind: "committed",
    ports: [],
    take(_draft, slice) {
      taken += slice.batch.n;
      for (const row of slice.batch.rows()) {
        if (row.id !== got.next) got.wrong++;
        got.next = row.id + 1;
      }
    },
    async finish() {
      await pause((taken / SINK_RATE) * 1000);
      taken = 0;
    },
    seal() {},
    discard() {},
    fold() {},
  };
}

/** @param {{ seconds?: number }} options */
export async function main({ seconds = 60 } = {}) {
  const directory = mkdtempSync(join(process.env.MILLRACE_BENCH_DIR ?? tmpdir(), "millrace-overload-"));
  const env = systemEnv();
  const log = await openEmbeddedLog({
    directory: join(directory, "log"),
    disk: systemDisk(),
    env,
    indexStore: memoryOrderedStore(),
  });
  const total = SINK_RATE * seconds;
  const got = { next: 0, wrong: 0 };
  const seen = { readMs: 0 };
  const nodes = [
    { name: "eager", kind: "source", role: "source", connector: eager(total, seen) },
    { name: "passing", kind: "filter", role: "pure", make: () => filter({ where: field("on") }) },
    { name: "slow", kind: "sink", role: "committed", isSink: true, make: () => slowSink(got) },
  ];
  const edges = [
    { from: "eager", to: "passing" },
    { from: "passing", to: "slow" },
  ];
  const runtime = new GraphRuntime(
    { graph: "overload", revision: 1, codeVersion: "bench", durability: "durable", nodes, edges },
    { env, log, host: "bench" },
  );
  await runtime.start();
  let finished = false;
  const done = runtime.whenFinished.then(() => {
    finished = true;
  });
  await pause(Math.min(5000, seconds * 250));
  globalThis.gc?.();
  const base = process.memoryUsage().rss;
  let peak = base;
  while (!finished) {
    peak = Math.max(peak, process.memoryUsage().rss);
    await Promise.race([done, pause(250)]);
  }
  const offered = total / (seen.readMs / 1000);
  await runtime.stop();
  await log.close();
  rmSync(directory, { recursive: true, force: true });
  const overload = Math.round(offered / SINK_RATE);
  const rssGrowthMiB = Math.round((peak - base) / 2 ** 20);
  const lost = total - got.next;
  process.stdout.write(
    `  ${overload}× overload for ${seconds} s: ${got.next} of ${total} messages, ${lost} lost, ${got.wrong} out of order or twice, memory grew by ${rssGrowthMiB} MiB\n`,
  );
  judge([{ what: "growth of memory", is: rssGrowthMiB, most: GROWTH_MIB_MAX, unit: "MiB" }]);
  if (lost !== 0 || got.wrong !== 0) throw new Error("messages were lost or repeated");
  return { overload, seconds, messages: got.next, lost, twice: got.wrong, rssGrowthMiB };
}
