/**
 * A log that begins with a graph is archived and pruned while the graph runs, and the host is killed: the graph goes on as one whose log
 * was never pruned, its states and outputs are the same to the byte, and what was carried is as good as what went.
 */
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { careOfHost } from "../../src/cli/ask-host.ts";
import { isFull } from "../faults/form.ts";
import { type Finished, lastJson, millrace, type Running, start } from "../millrace.ts";
import { BY } from "./running-host.ts";
import { makeSmallLog } from "./small-log.ts";

const TEST_MS = 120_000;
const FLIGHTS = 600;
const ORIGINS = ["AMS", "BRU", "CDG", "DUB"];
/** Long enough that some thousand fill several segments. */
const REMARK = "a remark that takes room in the log ".repeat(14);

const COMMITTED = ["hourly", "scored", "seen", "board", "file"];
const GRAPH = `name: late-flights
nodes:
  flights: { kind: source, from: "file:./flights.ndjson", time: date, watermark: 1m, follow: true, batch: 100 }
  late:    { kind: filter, input: flights, where: "event.delay >= 15" }
  hourly:  { kind: window, input: late, tumbling: 1h, by: { origin: event.origin },
             compute: { flights: count(), worst: max(event.delay), total: sum(event.delay) } }
  scored:  { kind: calculator, input: hourly, use: ./score.mjs, isolation: process }
  seen:    { kind: sink, input: flights, to: "projection:seen", key: [id] }
  board:   { kind: sink, input: scored, to: "projection:departures", key: [origin, window_start] }
  file:    { kind: sink, input: scored, to: "file:late.ndjson" }
`;
/** Its state is the sum of all that it has seen. */
const SCORE = `let sum = 0;
export default {
  calculate: (row) => ({ ...row, sum: (sum += row.total) }),
  snapshot: () => sum,
  restore(state) { sum = state ?? 0; },
};
`;

/** One in two minutes of event time, so that the windows of an hour close now and then. */
function flightsFrom(first: number, count: number): string {
  return Array.from({ length: count }, (_, i) => {
    const id = first + i;
    const date = new Date(Date.UTC(2026, 0, 1) + id * 120_000).toISOString();
    const origin = ORIGINS[id % ORIGINS.length];
    return `${JSON.stringify({ id, date, origin, delay: (id * 7919) % 60, remark: `${REMARK}${id}` })}\n`;
  }).join("");
}

class FlightsHost {
  readonly directory = mkdtempSync(join(tmpdir(), "millrace-pruned-graph-"));
  readonly data = join(this.directory, "data");
  #process: Running | undefined;
  #url = "";

  static async make(): Promise<FlightsHost> {
    const host = new FlightsHost();
    writeFileSync(join(host.directory, "graph.yaml"), GRAPH);
    writeFileSync(join(host.directory, "score.mjs"), SCORE);
    writeFileSync(join(host.directory, "flights.ndjson"), "");
    await makeSmallLog(host.data, 0);
    await host.start();
    return host;
  }

  async start(): Promise<void> {
    const args = ["serve", "graph.yaml", "--port", "0", "--data", this.data, "--json"];
    this.#process = start(args, { cwd: this.directory });
    this.#url = (JSON.parse(await this.#process.line(/^\{"url"/)) as { readonly url: string }).url;
  }

  async end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    this.#process?.child.kill(signal);
    await this.#process?.finished;
  }

  ask(...args: readonly string[]): Promise<Finished> {
    return millrace([...args, "--data", this.data], { cwd: this.directory });
  }

  async told(...args: readonly string[]): Promise<unknown> {
    const { code, stdout, stderr } = await this.ask(...args, "--json");
    expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: "" });
    return lastJson(stdout);
  }

  async get(path: string): Promise<{ readonly status: number; readonly body: Readonly<Record<string, unknown>> }> {
    const answer = await fetch(new URL(path, this.#url));
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
  }

  /** Flights up to `count` have come, and all that follows from them is in the log and in the projections. */
  async fly(from: number, count: number): Promise<void> {
    appendFileSync(join(this.directory, "flights.ndjson"), flightsFrom(from, count));
    const isThere = async (): Promise<void> => {
      expect(await this.#count("seen")).toBe(from + count);
      expect(await this.#consumed()).toBe(true);
    };
    await vi.waitFor(isThere, { timeout: 60_000, interval: 400 });
  }

  /** Every node that commits has consumed what was sent to it. */
  async #consumed(): Promise<boolean> {
    const states = await Promise.all(COMMITTED.map((node) => this.state(node)));
    const sent = new Map(states.map(({ node, sent: by }) => [`${node}.out`, by.out ?? 0]));
    const lanes = states.flatMap((state) => state.lanes);
    const read = new Set(lanes.filter(({ lane }) => lane.startsWith("flights#")).map(({ pos }) => pos));
    const isPassed = lanes.every(
      ({ lane, pos }) => !lane.includes(".out>") || pos + 1 === sent.get(lane.split(">")[0] ?? ""),
    );
    return read.size === 1 && isPassed;
  }

  async #count(projection: string): Promise<number | undefined> {
    const { body } = await this.get("/api/v1/projections");
    const { projections } = body as unknown as { readonly projections: readonly { name: string; rows: number }[] };
    return projections.find(({ name }) => name === projection)?.rows;
  }

  async state(node: string, at?: number): Promise<NodeState> {
    const query = at === undefined ? "" : `?at=${at}`;
    const { status, body } = await this.get(`/api/v1/graphs/late-flights/nodes/${node}/state${query}`);
    expect({ node, status }).toEqual({ node, status: 200 });
    return body as unknown as NodeState;
  }

  async rows(projection: string): Promise<readonly unknown[]> {
    const rows: unknown[] = [];
    for (let next: string | null = ""; next !== null; ) {
      const cursor = next === "" ? "" : `&cursor=${encodeURIComponent(next)}`;
      const { body } = await this.get(`/api/v1/projections/${projection}?limit=1000${cursor}`);
      const page = body as unknown as { readonly rows: readonly unknown[]; readonly next: string | null };
      rows.push(...page.rows);
      next = page.next;
    }
    return rows;
  }

  /** All that a user can see of what the graph has come to. */
  async outcome(): Promise<object> {
    const states = await Promise.all(COMMITTED.map((node) => this.state(node)));
    return {
      // When a node writes down that it idles is a matter of time.
      states: states.map(({ node, rows, sent, lanes }) => {
        return { node, rows, sent, lanes: lanes.map(({ lane, pos, ord }) => ({ lane, pos, ord })) };
      }),
      departures: await this.rows("departures"),
      seen: await this.rows("seen"),
      file: readFileSync(join(this.data, "out", "late.ndjson"), "utf8"),
    };
  }

  remove(...names: readonly string[]): void {
    for (const name of names) rmSync(join(this.data, name), { recursive: true });
  }
}

interface NodeState {
  readonly node: string;
  readonly sent: Readonly<Record<string, number>>;
  readonly lanes: readonly { readonly lane: string; readonly pos: number; readonly ord: number }[];
  readonly rows: readonly unknown[];
}

interface Archived {
  readonly archived: readonly { readonly lastMs: number }[];
}

interface Pruned {
  readonly pruned: readonly object[];
  readonly base: number;
  readonly heldBy: readonly object[];
}

let plain: FlightsHost;
let pruned: FlightsHost;
let base = 0;

beforeAll(async () => {
  [plain, pruned] = await Promise.all([FlightsHost.make(), FlightsHost.make()]);
  await Promise.all([plain.fly(0, FLIGHTS), pruned.fly(0, FLIGHTS)]);
}, TEST_MS);
afterAll(async () => {
  for (const host of [plain, pruned]) {
    await host.end("SIGKILL");
    rmSync(host.directory, { recursive: true, force: true });
  }
});

describe("a log that begins with a graph", { timeout: TEST_MS }, () => {
  it("has everything, or all that is carried, when the host is killed while it prunes", async () => {
    const { archived } = (await pruned.told("log", "archive", "--older-than", "0", "--no-parquet")) as Archived;
    expect(archived.length).toBeGreaterThan(4);
    const before = await pruned.outcome();
    const log = join(pruned.data, "log");
    // A segment at a time, so that some are left for the next, and for another attempt when one was too quick to be killed.
    const ages = archived.slice(1, -2).map(({ lastMs }) => lastMs);
    for (const begun of isFull ? [/^streams-.*tmp$/, /^MANIFEST.tmp$/] : [/^streams-.*tmp$/]) {
      const isBegun = (): boolean => readdirSync(log).some((name) => begun.test(name));
      let isCaught = false;
      while (!isCaught) {
        const beforeMs = ages.shift();
        if (beforeMs === undefined) throw new Error(`no prune was seen to write ${begun.source}`);
        const asking = careOfHost(join(pruned.data, "care"))
          .prune({ beforeMs, by: BY })
          .catch(() => undefined);
        let isAnswered = false;
        void asking.then(() => {
          isAnswered = true;
        });
        while (!isAnswered && !isCaught) {
          isCaught = isBegun();
          await setImmediate();
        }
        if (isCaught) await pruned.end("SIGKILL");
        await asking;
      }
      await pruned.start();
      await expect.poll(() => pruned.outcome()).toEqual(before);
    }
  });

  it("is pruned beside the graph, and every state that can still be asked for is what it was", async () => {
    const before = await pruned.outcome();
    const { body } = await pruned.get("/api/v1/events?limit=1");
    const end = (body as { readonly end: number }).end;
    const at = await pruned.state("hourly", end - 3);
    const answer = (await pruned.told("log", "prune", "--older-than", "0", "--reason", "over")) as Pruned;
    expect(answer).toMatchObject({ heldBy: [] });
    expect(answer.pruned.length).toBeGreaterThan(1);
    ({ base } = answer);
    expect(base).toBeGreaterThan(20);
    expect(await pruned.outcome()).toEqual(before);
    expect(await pruned.state("hourly", end - 3)).toEqual(at);
    expect((await pruned.state("hourly", base)).rows.length).toBeGreaterThan(0);
    expect(await pruned.get(`/api/v1/graphs/late-flights/nodes/hourly/state?at=${base - 1}`)).toMatchObject({
      status: 410,
      body: { code: "LOG-PRUNED", details: { base } },
    });
  });

  it("goes on when the host was killed and everything that can be made again is gone", async () => {
    const before = await pruned.outcome();
    await pruned.end("SIGKILL");
    pruned.remove("projections", "index");
    await pruned.start();
    await expect.poll(() => pruned.outcome()).toEqual(before);
    const verified = await pruned.told("audit", "verify");
    expect(verified).toMatchObject({ ok: true, pruned: base });
  });

  it("comes to the same as one that was never pruned, to the byte", async () => {
    await Promise.all([plain.fly(FLIGHTS, FLIGHTS), pruned.fly(FLIGHTS, FLIGHTS)]);
    expect(await pruned.outcome()).toEqual(await plain.outcome());
  });

  it("is pruned again when the host is stopped, and a graph that has another revision goes on", async () => {
    await pruned.end("SIGTERM");
    await pruned.told("log", "archive", "--older-than", "0", "--no-parquet");
    const again = (await pruned.told("log", "prune", "--older-than", "0")) as Pruned;
    expect(again.base).toBeGreaterThan(base);
    expect(again.heldBy).toEqual([]);
    for (const host of [plain, pruned]) {
      if (host === plain) await host.end("SIGTERM");
      writeFileSync(join(host.directory, "graph.yaml"), GRAPH.replace("delay >= 15", "delay >= 30"));
      await host.start();
    }
    await Promise.all([plain.fly(2 * FLIGHTS, FLIGHTS), pruned.fly(2 * FLIGHTS, FLIGHTS)]);
    expect(await pruned.outcome()).toEqual(await plain.outcome());
    expect((await pruned.ask("log", "scrub")).code).toBe(0);
  });
});
