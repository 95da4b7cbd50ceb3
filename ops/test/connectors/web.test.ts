/** Polled addresses, streams of events and WebSockets while links are cut, fall silent, and processes are killed. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Market } from "../../services/market.ts";
import { TcpProxy } from "../../services/tcp-proxy.ts";
import { eventually, GraphFolder } from "../faults/graph-folder.ts";
import { start } from "../millrace.ts";
import { numbers, RunningGraph, WAIT } from "./running-graph.ts";
import { served } from "./served-graph.ts";

const LIMIT_MS = 120_000;
const ALLOW = "allow: [127.0.0.0/8]";
/** By name: where each reads from, and how. */
const SOURCES = {
  poll: (address: string) =>
    `from: "http://${address}/page", http: { every: 50ms, deadline: 1s, items: rows, cursor: { field: n, parameter: after }, ${ALLOW} }`,
  events: (address: string) =>
    `from: "sse+http://${address}/events", http: { events: [number], silence: 1s, ${ALLOW} }`,
  socket: (address: string) => `from: "ws://${address}/socket", http: { ack: true, ${ALLOW} }`,
} as const;
const NAMES = Object.keys(SOURCES) as (keyof typeof SOURCES)[];

const ending: (() => Promise<unknown>)[] = [];
let market: Market;
beforeEach(async () => {
  market = new Market();
  await market.start();
  ending.push(() => market.kill());
});
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

async function proxied(): Promise<TcpProxy> {
  const proxy = await TcpProxy.to(market);
  ending.push(() => proxy.close());
  return proxy;
}

for (const name of NAMES)
  test(
    `a ${name} source and a WebSocket sink lose nothing while links are cut, fall silent, the service is killed, and the graph is started again`,
    async () => {
      const proxy = await proxied();
      const text = `name: ${name}
nodes:
  in:  { kind: source, ${SOURCES[name](proxy.address)} }
  out: { kind: sink, input: in, to: "ws://${proxy.address}/in/${name}", http: { ack: true, deadline: 1s, ${ALLOW} } }
`;
      let running = await RunningGraph.start(text);
      ending.push(() => running.stop());
      const taken = () => market.taken.get(name) ?? [];
      let offered = 0;
      const offer = (): void => {
        market.offer(500);
        offered += 500;
      };
      const arrived = (): Promise<void> =>
        vi.waitFor(() => expect(new Set(taken().map(({ data }) => data.n)).size).toBe(offered), WAIT);
      for (let round = 0; round < 2; round++) {
        offer();
        await vi.waitFor(() => expect(taken().length).toBeGreaterThan(offered - 500), WAIT);
        proxy.cut();
        offer();
        await vi.waitFor(() => expect(running.connection("in")).not.toBe("up"), WAIT);
        proxy.mend();
        await arrived();
      }
      proxy.hold();
      offer();
      await arrived();
      await market.kill();
      offer();
      await vi.waitFor(() => expect(running.connection("in")).not.toBe("up"), WAIT);
      await market.start();
      await arrived();
      const { log } = running;
      await running.stop();
      offer();
      running = await RunningGraph.start(text, log);
      await arrived();
      const rows = taken();
      const ids = new Set(rows.map(({ id }) => id));
      console.log(
        `${name}: ${offered} messages, 2 cuts, 1 silence, 1 kill of the service, 1 restart: 0 lost, ${ids.size - offered} taken twice, ${rows.length - ids.size} sent twice under one id`,
      );
      // The sink gives what it sends again the same id; another id means that the source took the message twice.
      expect(ids.size).toBe(offered);
      const firsts = [...new Set(rows.map(({ data }) => data.n))];
      expect(firsts.sort((a, b) => a - b)).toEqual(numbers(0, offered));
    },
    LIMIT_MS,
  );

test(
  "a process that is killed again and again has every message of each in its files once, and in order where the service keeps one",
  async () => {
    const rows = 3000;
    market.offer(rows);
    const address = `127.0.0.1:${market.port}`;
    const nodes = NAMES.map(
      (name) => `  ${name}: { kind: source, ${SOURCES[name](address)} }
  ${name}-file: { kind: sink, input: ${name}, to: "file:${name}.ndjson" }
`,
    );
    const folder = new GraphFolder({ "graph.yaml": `name: web\nnodes:\n${nodes.join("")}` });
    ending.push(async () => folder.remove());
    const linesOf = (name: string): readonly string[] => {
      const path = join(folder.data, "out", `${name}.ndjson`);
      return existsSync(path) ? readFileSync(path, "utf8").split("\n").filter(Boolean) : [];
    };
    const begin = (): ReturnType<typeof start> =>
      start(["run", "graph.yaml", "--data", folder.data], { cwd: folder.path });
    for (const kill of [1, 2]) {
      const running = begin();
      await eventually(async () => expect(linesOf("poll").length).toBeGreaterThan((rows * kill) / 4));
      running.child.kill("SIGKILL");
      await running.finished;
    }
    const last = begin();
    try {
      await eventually(async () => expect(NAMES.map((name) => linesOf(name).length)).toEqual(NAMES.map(() => rows)));
    } finally {
      last.child.kill("SIGTERM");
      await last.finished;
    }
    for (const name of NAMES) {
      const read = linesOf(name).map((line) => (JSON.parse(line) as { readonly n: number }).n);
      console.log(
        `${name}: ${rows} messages, 2 kills -9: ${rows - new Set(read).size} lost, ${read.length - new Set(read).size} twice`,
      );
      // What was not acknowledged is sent again behind what was sent meanwhile.
      if (name === "socket") expect([...read].sort((a, b) => a - b)).toEqual(numbers(0, rows));
      else expect(read).toEqual(numbers(0, rows));
    }
  },
  LIMIT_MS,
);

test(
  "a graph follows the event stream of another Millrace, and misses no event of its log while the link is cut",
  async () => {
    const watched = await RunningGraph.start(`name: watched
nodes:
  tick: { kind: source, from: "metronome:5ms" }
  out:  { kind: sink, input: tick, to: "discard:" }
`);
    ending.push(() => watched.stop());
    const app = await served(watched);
    ending.push(() => app.close());
    const proxy = await TcpProxy.to(app);
    ending.push(() => proxy.close());
    const follower = await RunningGraph.start(`name: follower
nodes:
  in:  { kind: source, from: "sse+http://${proxy.address}/api/v1/live?events=all&status=none", http: { events: [events], ${ALLOW} } }
  out: { kind: sink, input: in, to: "ws://127.0.0.1:${market.port}/in/log", http: { ack: true, ${ALLOW} } }
`);
    ending.push(() => follower.stop());
    const positions = (): readonly number[] =>
      (market.taken.get("log") ?? []).flatMap(({ data }) =>
        (data as unknown as { readonly events: readonly { readonly position: number }[] }).events.map(
          ({ position }) => position,
        ),
      );
    for (let cut = 0; cut < 3; cut++) {
      const before = positions().length;
      await vi.waitFor(() => expect(positions().length).toBeGreaterThan(before + 50), WAIT);
      proxy.cut();
      await vi.waitFor(() => expect(follower.connection("in")).not.toBe("up"), WAIT);
      proxy.mend();
    }
    const end = positions().length;
    await vi.waitFor(() => expect(positions().length).toBeGreaterThan(end + 50), WAIT);
    const seen = positions();
    console.log(`following Millrace: ${seen.length} events, 3 cuts: 0 lost, 0 twice`);
    expect(seen).toEqual(numbers(seen[0] as number, seen.length));
  },
  LIMIT_MS,
);
