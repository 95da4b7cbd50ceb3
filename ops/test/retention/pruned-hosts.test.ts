/**
 * A graph on two hosts, each with a log of its own: either is pruned, running and stopped, and what comes out is what comes out of one
 * that never was. What the other host has not consumed holds the prune, until it has said that it did.
 */
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { edgeCarriers, heardLanesOf, parseGraph, STEP, stepOf, systemEnv, type Transport } from "@millrace/engine";
import { memoryTransport } from "@millrace/streams/memory";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compileGraph } from "../../src/compile/compile-graph.ts";
import type { Host } from "../../src/host/host.ts";
import { memoryHost } from "../../src/host/memory-host.ts";
import { type OpenedData, openData } from "../../src/host/open-data.ts";
import { ProjectionTables } from "../../src/host/projection-tables.ts";
import type { PrunedLogRange } from "../../src/retention/log-care.ts";
import { OpenLogCare } from "../../src/retention/open-log-care.ts";
import { ALL, BY, NO_PROJECTIONS } from "./running-host.ts";
import { makeSmallLog } from "./small-log.ts";

const TEST_MS = 240_000;
const env = systemEnv();
const COUNT = 300;
const POLL = { timeout: 60_000, interval: 200 };
const REMARK = "a remark that takes room in the log ".repeat(14);
const GRAPH = `name: shared
nodes:
  in:    { kind: source, from: "file:./in.ndjson", time: date, watermark: 1m, follow: true, batch: 20 }
  sent:  { kind: calculator, input: in, use: ./sum.mjs, isolation: process }
  taken: { kind: calculator, input: sent, use: ./sum.mjs, isolation: process }
  sums:  { kind: window, input: taken, tumbling: 10m, by: { key: event.key },
           compute: { sum: max(event.sum), count: count() } }
  out:   { kind: sink, input: sums, to: "file:out.ndjson" }
defaults: { edge: { via: nats } }
`;
/** Its state is the sum of all that it has seen. */
const SUM = `let sum = 0;
export default {
  calculate: (row) => ({ ...row, sum: (sum += row.sum ?? row.n) }),
  snapshot: () => sum,
  restore(state) { sum = state ?? 0; },
};
`;
const HERE = { first: ["in", "sent"], second: ["taken", "sums", "out"] } as const;
type Name = keyof typeof HERE;

class TwoHosts {
  readonly directory = mkdtempSync(join(tmpdir(), "millrace-two-hosts-"));
  readonly #transport: Transport = memoryTransport({ env });
  readonly #open = new Map<Name, { readonly data: OpenedData; readonly host: Host | undefined }>();

  static async make(): Promise<TwoHosts> {
    const hosts = new TwoHosts();
    writeFileSync(join(hosts.directory, "in.ndjson"), "");
    writeFileSync(join(hosts.directory, "sum.mjs"), SUM);
    for (const name of ["first", "second"] as const) {
      await makeSmallLog(join(hosts.directory, name), 0);
      await hosts.start(name);
    }
    return hosts;
  }

  async start(name: Name): Promise<void> {
    const data = await this.#data(name);
    const runsHere = (node: string): boolean => (HERE[name] as readonly string[]).includes(node.split("~")[0] ?? "");
    const transport = this.#transport;
    const host = memoryHost(data.log, {
      runsHere,
      carriers: (program) => edgeCarriers(program, "nats", { transport, env, scope: "test", runsHere }),
    });
    const parsed = parseGraph(GRAPH);
    if ("problems" in parsed) throw new Error(JSON.stringify(parsed.problems));
    const { directory } = this;
    const options = { dir: directory, out: directory, env, tables: new ProjectionTables() };
    await host.add(await compileGraph(parsed.graph, GRAPH, options), BY);
    this.#open.set(name, { data, host });
  }

  async stop(...names: readonly Name[]): Promise<void> {
    for (const name of names) {
      const { data, host } = this.#open.get(name) ?? {};
      this.#open.delete(name);
      await host?.close("it is stopped");
      await data?.close();
    }
  }

  /** The last message of `sent` that its host has written down as consumed: acknowledgements come after what they acknowledge is seen. */
  async heard(): Promise<number | undefined> {
    const { log } = await this.#data("first");
    for await (const [newest] of log.readStream("shared/~lanes", { direction: "backward", limit: 1 }))
      if (newest !== undefined) return heardLanesOf(newest)[0]?.durable.pos;
    return undefined;
  }

  /** The last message that a node of the second host has consumed. */
  async consumed(node: string): Promise<number | undefined> {
    const { log } = await this.#data("second");
    for await (const events of log.readStream(`shared/${node}`, { direction: "backward" }))
      for (const event of events) {
        const input = event.type === STEP ? stepOf(event).inputs.at(-1) : undefined;
        if (input !== undefined) return input.to.pos;
      }
    return undefined;
  }

  /** Beside the graph, or of a log that is opened for nothing else. */
  async prune(name: Name): Promise<PrunedLogRange> {
    const isRunning = this.#open.has(name);
    const data = await this.#data(name);
    const payloads = async () => ({ stage: async () => [], forget: async () => ({ payloads: 0, bytes: 0 }) });
    const care = new OpenLogCare({ data, env, projections: NO_PROJECTIONS, payloads });
    try {
      await care.archive({ beforeMs: ALL, parquet: false, keep: false });
      return await care.prune({ beforeMs: ALL, by: BY });
    } finally {
      if (!isRunning) await data.close();
    }
  }

  feed(from: number): void {
    const rows = Array.from({ length: COUNT }, (_, i) => {
      const n = from + i;
      const date = new Date(Date.UTC(2026, 0, 1) + n * 20_000).toISOString();
      return `${JSON.stringify({ n, key: `k${n % 3}`, date, remark: `${REMARK}${n}` })}\n`;
    });
    appendFileSync(join(this.directory, "in.ndjson"), rows.join(""));
  }

  get out(): readonly string[] {
    try {
      return readFileSync(join(this.directory, "out.ndjson"), "utf8").split("\n").filter(Boolean).sort();
    } catch {
      return [];
    }
  }

  async remove(): Promise<void> {
    await this.stop("first", "second");
    await this.#transport.close();
    rmSync(this.directory, { recursive: true });
  }

  async #data(name: Name): Promise<OpenedData> {
    const onFatal = (error: Error): never => {
      throw error;
    };
    return this.#open.get(name)?.data ?? openData({ path: join(this.directory, name), env, onFatal });
  }
}

let plain: TwoHosts;
let pruned: TwoHosts;
beforeAll(async () => {
  [plain, pruned] = await Promise.all([TwoHosts.make(), TwoHosts.make()]);
}, TEST_MS);
afterAll(async () => {
  await plain.remove();
  await pruned.remove();
});

/** Every window of ten minutes is closed but the last, which the last row's watermark does not reach: three rows of each. */
const closedBy = (rows: number): number => (rows / 30 - 1) * 3;

/** Both have closed the same windows. */
async function agree(rows: number): Promise<void> {
  const closed = closedBy(rows);
  await expect.poll(() => [plain.out.length, pruned.out.length], POLL).toEqual([closed, closed]);
  expect(pruned.out).toEqual(plain.out);
}

describe("a graph on two hosts whose logs are pruned", { timeout: TEST_MS }, () => {
  it("goes on beside a prune of either, which nothing holds once the other has consumed", async () => {
    for (const hosts of [plain, pruned]) hosts.feed(0);
    await agree(COUNT);
    for (const name of ["first", "second"] as const) {
      await expect
        .poll(async () => (await pruned.prune(name).catch(() => undefined))?.base ?? 0, POLL)
        .toBeGreaterThan(10);
    }
    for (const hosts of [plain, pruned]) hosts.feed(COUNT);
    await agree(2 * COUNT);
  });

  it("holds what the other host has not consumed, and only that", async () => {
    await pruned.stop("second");
    for (const hosts of [plain, pruned]) hosts.feed(2 * COUNT);
    const held = (): Promise<unknown> =>
      pruned.prune("first").then(
        ({ heldBy }) => heldBy,
        ({ details }: { readonly details: { readonly heldBy: unknown } }) => details.heldBy,
      );
    await expect.poll(held, POLL).toMatchObject([{ code: "HELD-OUTPUT", place: { graph: "shared", node: "sent" } }]);
    await pruned.start("second");
    await agree(3 * COUNT);
  });

  it("starts again on both, pruned while they were stopped, and comes to the same", async () => {
    await expect.poll(() => pruned.heard(), POLL).toBe(3 * COUNT - 1);
    // What goes from node to node of one host holds a prune of it as well.
    await expect.poll(() => pruned.consumed("sums"), POLL).toBe(3 * COUNT - 1);
    await expect.poll(() => pruned.consumed("out"), POLL).toBe(closedBy(3 * COUNT) - 1);
    await pruned.stop("first", "second");
    for (const name of ["first", "second"] as const) {
      const { base, heldBy } = await pruned.prune(name);
      expect({ name, heldBy }).toEqual({ name, heldBy: [] });
      expect(base).toBeGreaterThan(20);
    }
    for (const name of ["second", "first"] as const) await pruned.start(name);
    for (const hosts of [plain, pruned]) hosts.feed(3 * COUNT);
    await agree(4 * COUNT);
  });
});
