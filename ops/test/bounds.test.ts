/** What Millrace may take of a machine: the short forms of the benches `idle` and `overload`. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { GraphRuntime, systemEnv } from "@millrace/engine";
import { openEmbeddedLog, systemDisk } from "@millrace/streams/embedded";
import { memoryOrderedStore } from "@millrace/streams/memory";
import { expect, onTestFinished, test } from "vitest";
import { verdictsOf } from "../bench/bounds.mjs";
import { IDLE_BOUNDS, idleGraph } from "../bench/idle-graph.mjs";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** After everything that is due: what the start left behind is let go of with it. */
async function heapBytes(): Promise<number> {
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  return process.memoryUsage().heapUsed;
}

test("ten thousand idle nodes take at most 4 KiB of heap each", async () => {
  const directory = mkdtempSync(join(tmpdir(), "millrace-idle-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const env = systemEnv();
  const indexStore = memoryOrderedStore();
  const log = await openEmbeddedLog({ directory: join(directory, "log"), disk: systemDisk(), env, indexStore });
  const graph = idleGraph(1000);
  expect(graph.nodes.length).toBe(10_000);
  const before = await heapBytes();
  const runtime = new GraphRuntime(graph, { env, log, host: "test" });
  await runtime.start();
  const bytesPerNode = ((await heapBytes()) - before) / graph.nodes.length;
  await runtime.stop();
  await log.close();
  // Less than a graph of so many nodes can be made of: the measure would be wrong.
  expect(bytesPerNode).toBeGreaterThan(500);
  expect(bytesPerNode).toBeLessThanOrEqual(IDLE_BOUNDS.bytesPerNode);
}, 120_000);

test("a figure at its bound is within it, one above is over, and so is what is no number", () => {
  const verdict = (is: number): unknown => verdictsOf([{ what: "heap", is, most: 4, unit: "B" }])[0];
  expect(verdict(4)).toEqual({ isOver: false, line: "heap: 4 B, within its bound of 4 B" });
  expect(verdict(5)).toEqual({ isOver: true, line: "heap: 5 B, over its bound of 4 B" });
  expect(verdict(Number.NaN)).toMatchObject({ isOver: true });
});
