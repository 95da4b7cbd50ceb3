/** NATS as a user meets it: graph files and the command line, in real processes against a real server. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { connect, type NatsConnection } from "nats";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { natsServers, startNats } from "../../services/nats-server.ts";
import type { ServerProcess } from "../../services/server-process.ts";
import { times } from "../faults/form.ts";
import { eventually, GraphFolder } from "../faults/graph-folder.ts";
import { lastJson, millrace, start } from "../millrace.ts";

const [kind] = natsServers();
const ROWS = 10_000;
const KILLS = times(1, 3);
const SHARED_ROWS = 40_000;

function linesOf(path: string): readonly string[] {
  return existsSync(path) ? readFileSync(path, "utf8").split("\n").filter(Boolean) : [];
}

describe.skipIf(kind === undefined)("millrace and NATS", () => {
  let server: ServerProcess;
  let nc: NatsConnection;
  let folder: GraphFolder;

  beforeAll(async () => {
    if (kind !== undefined) server = await startNats(kind);
    nc = await connect({ servers: server.address });
    const jsm = await nc.jetstreamManager();
    for (const name of ["IN", "OUT", "CORE"]) await jsm.streams.add({ name, subjects: [name.toLowerCase()] });
    const js = nc.jetstream();
    for (let from = 0; from < ROWS; from += 500)
      await Promise.all(Array.from({ length: 500 }, (_, i) => js.publish("in", JSON.stringify({ n: from + i }))));
  });
  afterAll(async () => {
    await nc?.close();
    await server?.stop();
  });
  afterEach(() => folder?.remove());

  /** All that a stream has. */
  const rowsOf = async (stream: string): Promise<number[]> => {
    const { state } = await (await nc.jetstreamManager()).streams.info(stream);
    const consumer = await nc.jetstream().consumers.get(stream);
    const rows: number[] = [];
    for await (const m of await consumer.fetch({ max_messages: state.messages, expires: 30_000 }))
      rows.push(m.json<{ readonly n: number }>().n);
    return rows;
  };

  test("a run over stream, edges and stream that is killed again and again gives every row once, in order", async () => {
    folder = new GraphFolder({
      "graph.yaml": `name: copy
nodes:
  in:   { kind: source, from: "nats://${server.address}/jetstream/IN?until=now", batch: 200 }
  even: { kind: filter, input: in, where: "event.n % 2 == 0" }
  out:  { kind: sink, input: even, to: "nats://${server.address}/jetstream/out" }
edges:
  "in -> even": { via: nats }
  "even -> out": { via: nats }
`,
    });
    const args = ["run", "graph.yaml", "--until-done", "--json", "--data", folder.data];
    const edges = ["--edges", `nats://${server.address}`];
    const jsm = await nc.jetstreamManager();
    const written = async (): Promise<number> => (await jsm.streams.info("OUT")).state.messages;
    for (let kill = 1; kill <= KILLS; kill++) {
      const running = start([...args, ...edges], { cwd: folder.path });
      const enough = ((ROWS / 2) * kill) / (KILLS + 2);
      await eventually(async () => expect(await written()).toBeGreaterThan(enough));
      running.child.kill("SIGKILL");
      await running.finished;
    }
    const { code, stdout, stderr } = await millrace([...args, ...edges], { cwd: folder.path });
    expect([code, stderr]).toEqual([0, ""]);
    expect(lastJson(stdout)).toMatchObject({ graph: "copy", deadLettered: 0, dropped: 0 });
    const rows = await rowsOf("OUT");
    const lost = ROWS / 2 - new Set(rows).size;
    console.log(`${ROWS} rows, ${KILLS} kills -9 of millrace: ${lost} lost, ${rows.length - new Set(rows).size} twice`);
    expect(rows).toEqual(Array.from({ length: ROWS / 2 }, (_, i) => i * 2));

    const refused = await millrace(args, { cwd: folder.path });
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toMatch(
      /graph\.yaml:4:\d+ HOST-EDGES edge `in -> even` leads over nats; start with --edges/,
    );
  }, 120_000);

  test("a graph over two processes, killed in turn, gives what one process gives", async () => {
    const graph = (via: string): string => `name: shared
nodes:
  in:      { kind: source, from: "file:./in.ndjson", time: at, batch: 200 }
  even:    { kind: filter, input: in, where: "event.n % 2 == 0" }
  third:   { kind: filter, input: in, where: "event.n % 3 == 0" }
  both:    { kind: merge, inputs: [even, third] }
  windows: { kind: window, input: both, tumbling: 10s, by: { k: "event.k" }, compute: { n: count(), sum: sum(event.n) } }
  big:     { kind: filter, input: windows, where: "event.n > 0" }
  sums:    { kind: sink, input: big, to: "file:sums.ndjson" }
  evens:   { kind: sink, input: even, to: "file:evens.ndjson" }
${via}`;
    const rows = Array.from({ length: SHARED_ROWS }, (_, n) => ({ n, k: n % 5, at: new Date(n * 20).toISOString() }));
    folder = new GraphFolder({
      "graph.yaml": graph(""),
      "split.yaml": graph("defaults: { edge: { via: nats, capacity: 2000 } }\n"),
      "in.ndjson": rows.map((row) => `${JSON.stringify(row)}\n`).join(""),
    });
    const one = await folder.finish();
    const begin = (data: string, nodes: string): ReturnType<typeof start> =>
      start(
        [
          ...["run", "split.yaml", "--until-done", "--json", "--data", join(folder.path, data)],
          ...["--edges", `nats://${server.address}/test`, "--nodes", nodes],
        ],
        { cwd: folder.path },
      );
    const first = (): ReturnType<typeof start> => begin("a", "in,even,third,evens");
    const second = (): ReturnType<typeof start> => begin("b", "both,windows,big,sums");
    const written = (): number => linesOf(join(folder.path, "a/out/evens.ndjson")).length;
    const reached = (share: number): Promise<void> =>
      eventually(async () => expect(written()).toBeGreaterThan((SHARED_ROWS / 2) * share));
    let [a, b] = [first(), second()];
    await reached(0.2);
    b.child.kill("SIGKILL");
    await b.finished;
    b = second();
    await reached(0.5);
    a.child.kill("SIGKILL");
    await a.finished;
    a = first();
    const [endA, endB] = await Promise.all([a.finished, b.finished]);
    expect([endA.stderr, endA.code, endB.stderr, endB.code]).toEqual(["", 0, "", 0]);
    const evens = linesOf(join(folder.path, "a/out/evens.ndjson"));
    const sums = [...linesOf(join(folder.path, "b/out/sums.ndjson"))].sort();
    console.log(
      `${one.messagesIn} rows over 2 processes, each killed once: ${evens.length} + ${sums.length} rows, as in one process: ${folder.lines("evens.ndjson").length} + ${folder.lines("sums.ndjson").length}`,
    );
    expect(evens).toEqual(folder.lines("evens.ndjson"));
    expect(sums).toEqual([...folder.lines("sums.ndjson")].sort());
  }, 120_000);

  test("a core subject flows while somebody listens, and the connection is shown", async () => {
    folder = new GraphFolder({
      "graph.yaml": `name: live
nodes:
  in:  { kind: source, from: "nats://${server.address}/core/ticks.*" }
  out: { kind: sink, input: in, to: "nats://${server.address}/jetstream/core" }
`,
    });
    const running = await folder.serve();
    await eventually(async () => {
      const { nodes } = await running.status("live");
      expect(nodes[0]?.connection).toMatchObject({ state: "up", endpoint: server.address, reason: "", connects: 1 });
    });
    for (let n = 0; n < 100; n++) nc.publish(`ticks.${n % 3}`, JSON.stringify({ n }));
    nc.publish("ticks.bad", "{");
    const jsm = await nc.jetstreamManager();
    await eventually(async () => expect((await jsm.streams.info("CORE")).state.messages).toBe(100));
    expect(await rowsOf("CORE")).toEqual(Array.from({ length: 100 }, (_, n) => n));
    await eventually(async () => expect((await running.status("live")).deadLettered).toBe(1));
    const shown = await millrace(["graph", "show", "live", "--url", running.url]);
    expect(shown.stdout).toContain(`in: nats://${server.address} up at ${server.address}\n`);
    await running.stop();
  }, 60_000);
});
