/** What of a graph holds a prune off, with a code and a place; and that it goes when the graph has no more need of it. */
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type CarriedStream,
  encodeBatch,
  encodeOwned,
  encodeStep,
  OWNED,
  packState,
  RowBatch,
  STEP,
  STEP_SCHEMA,
  type StateEvent,
  type StepRecord,
  systemEnv,
} from "@millrace/engine";
import { sampleEvent, to } from "@millrace/engine/testing";
import { afterAll, expect, it } from "vitest";
import { type Deployment, GraphStream, graphStreamOf } from "../../src/host/graph-stream.ts";
import { type OpenedData, openData } from "../../src/host/open-data.ts";
import { type LegalHold, placeHold } from "../../src/retention/legal-holds.ts";
import type { PrunedLogRange } from "../../src/retention/log-care.ts";
import { OpenLogCare, type OpenLogCareOptions } from "../../src/retention/open-log-care.ts";
import { appendEvents } from "../audit/audited-data.ts";
import { ALL, BY, NO_PROJECTIONS } from "./running-host.ts";
import { makeSmallLog } from "./small-log.ts";

const TEST_MS = 180_000;
const BY_TEST = { principal: "test", reason: "" };
const env = systemEnv();
const root = mkdtempSync(join(tmpdir(), "millrace-graph-holds-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const GRAPH = `name: orders
nodes:
  in:  { kind: source, from: "http:/in" }
  out: { kind: sink, input: in, to: "discard:" }
`;

/** A log that has other events before, between and behind those of a graph, of which nothing runs. */
class HeldLog {
  readonly #data: OpenedData;
  readonly #graph: GraphStream;

  private constructor(data: OpenedData) {
    this.#data = data;
    this.#graph = new GraphStream(data.log, env, "orders");
  }

  static async make(name: string, definition = GRAPH): Promise<HeldLog> {
    const path = join(root, name);
    await makeSmallLog(path, 0);
    const onFatal = (error: Error): never => {
      throw error;
    };
    const made = new HeldLog(await openData({ path, env, onFatal }));
    await made.deploy(definition);
    return made;
  }

  async deploy(definition: string, revision = 1): Promise<void> {
    const parts = { hash: "a", parts: {}, projections: [], begins: [], stateSince: {} };
    const deployment: Deployment = { revision, definition, ...parts };
    if (revision === 1) await this.#graph.deploy(deployment, BY_TEST);
    else await this.#graph.append([{ type: "GraphDeployed", payload: { ...deployment } }], BY_TEST);
    this.#graph.about(revision, "a");
  }

  /** Fills segments; resolves with the position behind them. */
  async fill(): Promise<number> {
    await appendEvents(this.#data.log, 450);
    return this.#data.log.durableEnd;
  }

  async own(node: string): Promise<void> {
    await this.#append(node, OWNED, encodeOwned({ epoch: 1, host: "h" }));
  }

  /** A step; resolves with its position. */
  step(node: string, part: Partial<StepRecord>): Promise<number> {
    const empty = { inputs: [], opened: [], recorded: [], state: [], emitted: [], dead: [], dropped: [] };
    const ends = { at: 0, since: 0, watermark: 0, out: { watermark: 0, idle: false } };
    return this.#append(node, STEP, encodeStep({ ...ends, ...empty, ...part }));
  }

  /** The sink has consumed its lane of this origin up to a position. */
  consumed(origin: string, pos: number): Promise<number> {
    const ends = { lane: 0, from: { pos: -1, ord: -1 }, to: { pos, ord: Number.MAX_SAFE_INTEGER } };
    const input = {
      ...ends,
      watermark: 0,
      exact: true,
      idle: false,
      mark: null,
      revision: 1,
      messages: pos + 1,
      shed: 0,
    };
    return this.step("out", { inputs: [input], opened: [{ lane: 0, name: `${origin}>out` }] });
  }

  /** What a graph that starts again would be given of letters that were sent through `out` again. */
  redriven(after: number): Promise<readonly unknown[]> {
    return this.#graph.redriven("out", after);
  }

  redrive(): Promise<number> {
    return this.#graph.append([{ type: "DeadLetterRedriven", node: "out", payload: { id: "d", input: 1 } }], BY_TEST);
  }

  async revisionOf(position: number): Promise<number> {
    for await (const [event] of this.#data.log.read({ from: position, limit: 1 }))
      if (event?.stream === graphStreamOf("orders")) return event.revision;
    return -1;
  }

  /** An event of another stream; resolves with its position. */
  async event(stream: string): Promise<number> {
    const { position } = await this.#data.log.append(to(stream, sampleEvent()));
    return position;
  }

  hold(): Promise<LegalHold> {
    return placeHold(this.#data.log, env, "case-7", {}, BY);
  }

  async prune(...abandon: string[]): Promise<PrunedLogRange> {
    return this.pruneWith(NO_PROJECTIONS, ...abandon);
  }

  async pruneWith(projections: OpenLogCareOptions["projections"], ...abandon: string[]): Promise<PrunedLogRange> {
    const payloads = async () => ({ stage: async () => [], forget: async () => ({ payloads: 0, bytes: 0 }) });
    const care = new OpenLogCare({ data: this.#data, env, projections, payloads });
    await care.archive({ beforeMs: ALL, parquet: false, keep: false });
    return care.prune({ beforeMs: ALL, abandon, by: BY });
  }

  /** Where states stand while a prune goes on. */
  get spool(): string {
    return join(this.#data.directory.log, "carried-states.tmp");
  }

  carried(stream: string): Promise<unknown> {
    return this.#data.log.carried(stream);
  }

  close(): Promise<void> {
    return this.#data.close();
  }

  async #append(node: string, type: string, payload: Uint8Array): Promise<number> {
    const event = sampleEvent({ type, payload, schemaVersion: type === STEP ? STEP_SCHEMA : 1 });
    const context = { ...event.context, graph: "orders", graphRevision: 1, node };
    const { position } = await this.#data.log.append(to(`orders/${node}`, { ...event, context }));
    return position;
  }
}

const rows = (count: number): StateEvent => encodeBatch(new RowBatch(Array.from({ length: count }, (_, i) => i)));

it(
  "output that a receiver has not consumed holds its step, and nothing before it",
  async () => {
    const log = await HeldLog.make("output");
    await log.own("in");
    await log.own("out");
    await log.fill();
    await log.step("in", { emitted: [{ port: "out", firstSeq: 0, count: 2, batch: rows(2), late: [] }] });
    await log.consumed("in.out", 1);
    const position = await log.step("in", {
      emitted: [{ port: "out", firstSeq: 2, count: 3, batch: rows(3), late: [] }],
    });
    const end = await log.fill();
    const held = await log.prune();
    expect(held.heldBy).toMatchObject([
      { code: "HELD-OUTPUT", position, place: { graph: "orders", node: "in" }, remedy: expect.stringContaining("out") },
    ]);
    expect(held.base).toBeLessThanOrEqual(position);
    expect(held.base).toBeGreaterThan(0);
    await expect(log.prune()).rejects.toMatchObject({
      code: "LOG-HELD",
      details: { heldBy: [{ code: "HELD-OUTPUT" }] },
    });
    await log.consumed("in.out", 4);
    const free = await log.prune();
    expect(free.heldBy).toEqual([]);
    expect(free.base).toBeGreaterThan(position);
    expect(free.base).toBeLessThanOrEqual(end);
    expect(await log.carried("orders/in")).toMatchObject({ revision: 2, events: [] });
    await log.close();
  },
  TEST_MS,
);

it(
  "a dead letter that was sent again holds until its node has consumed it",
  async () => {
    const log = await HeldLog.make("redrive");
    await log.own("out");
    await log.fill();
    const position = await log.redrive();
    await log.fill();
    const held = await log.prune();
    expect(held.heldBy).toMatchObject([{ code: "HELD-REDRIVE", position, place: { graph: "orders", node: "out" } }]);
    await log.consumed("out~redrive#0", await log.revisionOf(position));
    expect((await log.prune()).base).toBeGreaterThan(position);
    expect(await log.carried(graphStreamOf("orders"))).toMatchObject({
      events: [{ type: "GraphDeployed" }, { type: "DeadLetterRedriven", position }],
    });
    await log.close();
  },
  TEST_MS,
);

it(
  "letters that were sent again to an abandoned graph, and went unconsumed, are told to be lost when it starts",
  async () => {
    const log = await HeldLog.make("lost");
    await log.own("out");
    const position = await log.redrive();
    const revision = await log.revisionOf(position);
    await log.fill();
    expect((await log.prune("orders")).base).toBeGreaterThan(position);
    await expect(log.redriven(revision - 1)).rejects.toMatchObject({ code: "LOG-PRUNED", place: { position } });
    expect(await log.redriven(revision)).toEqual([]);
    await log.close();
  },
  TEST_MS,
);

it.each([
  ["HELD-LEGAL", "case-7", async (log: HeldLog): Promise<void> => void (await log.hold())],
  ["HELD-STREAM", undefined, async (log: HeldLog): Promise<void> => void (await log.event("$settings"))],
] as const)(
  "%s holds a prune, with what ends it",
  async (code, remedy, make) => {
    const log = await HeldLog.make(code);
    await make(log);
    await log.fill();
    const heldBy = [{ code, ...(remedy === undefined ? {} : { remedy: expect.stringContaining(remedy) }) }];
    await expect(log.prune()).rejects.toMatchObject({ code: "LOG-HELD", details: { heldBy } });
    await log.close();
  },
  TEST_MS,
);

it(
  "HELD-PROJECTION holds what a projection cannot fold",
  async () => {
    const log = await HeldLog.make("projection");
    const end = await log.fill();
    const refused = [{ projection: "sums", position: end - 1, error: new Error("no number") }];
    const projections = { ...NO_PROJECTIONS, carry: async () => ({ carries: [], refused }) };
    await log.fill();
    const { base, heldBy } = await log.pruneWith(projections);
    expect(base).toBeLessThan(end);
    expect(base).toBeGreaterThan(0);
    expect(heldBy).toMatchObject([
      { code: "HELD-PROJECTION", position: end - 1, name: expect.stringContaining("no number") },
    ]);
    await log.close();
  },
  TEST_MS,
);

it(
  "states of nodes stand in a file until they are written, and then the file is gone",
  async () => {
    const log = await HeldLog.make("spool");
    await log.own("in");
    await log.own("out");
    await log.fill();
    const sizes: number[] = [];
    const carry = async (): Promise<{ readonly carries: []; readonly refused: [] }> => {
      sizes.push(statSync(log.spool).size);
      return { carries: [], refused: [] };
    };
    expect((await log.pruneWith({ ...NO_PROJECTIONS, carry })).base).toBeGreaterThan(0);
    const states = [await log.carried("orders/in"), await log.carried("orders/out")] as readonly CarriedStream[];
    expect(sizes).toEqual([states.reduce((sum, { state }) => sum + (state as Uint8Array).length, 0)]);
    expect(existsSync(log.spool)).toBe(false);
    await log.close();
  },
  TEST_MS,
);

it(
  "a prune that a need cuts short asks again for what it is left with: an earlier revision may be unreadable here",
  async () => {
    const log = await HeldLog.make("cut", GRAPH.replace("http:/in", `file:\${env:MILLRACE_TEST_GONE}`));
    await log.own("in");
    await log.consumed("in.out", 1);
    await log.fill();
    const position = await log.step("in", {
      emitted: [{ port: "out", firstSeq: 2, count: 3, batch: rows(3), late: [] }],
    });
    await log.fill();
    await log.deploy(GRAPH, 2);
    await log.fill();
    await expect(log.prune()).rejects.toMatchObject({
      code: "LOG-HELD",
      details: {
        heldBy: [
          { code: "HELD-STATE", position: 0 },
          { code: "HELD-OUTPUT", position },
        ],
      },
    });
    await log.close();
  },
  TEST_MS,
);

it(
  "state that cannot be folded here holds the graph, until it is abandoned",
  async () => {
    const log = await HeldLog.make("state", GRAPH.replace("http:/in", "telemetry:"));
    await log.own("in");
    await log.consumed("in.out", 1);
    const position = await log.step("in", { state: [packState(1)] });
    await log.fill();
    await expect(log.prune()).rejects.toMatchObject({
      code: "LOG-HELD",
      details: { heldBy: [{ code: "HELD-STATE", position: 0, place: { graph: "orders", node: "in" } }] },
    });
    await expect(log.prune("others")).rejects.toMatchObject({ code: "HOST-GRAPH" });
    const abandoned = await log.prune("orders");
    expect(abandoned.base).toBeGreaterThan(position);
    expect(abandoned.heldBy).toEqual([]);
    expect(await log.carried("orders/in")).toBeUndefined();
    expect(await log.carried("orders/out")).toMatchObject({ revision: 0, state: expect.any(Uint8Array) });
    expect(await log.carried(graphStreamOf("orders"))).toMatchObject({ events: [{ type: "GraphDeployed" }] });
    await log.close();
  },
  TEST_MS,
);
