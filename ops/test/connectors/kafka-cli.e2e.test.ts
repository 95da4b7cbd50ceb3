/** Kafka as a user meets it: graph files and the command line, in real processes against a real broker. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { KafkaServer, kafkaKinds } from "../../services/kafka-server.ts";
import { times } from "../faults/form.ts";
import { eventually, GraphFolder } from "../faults/graph-folder.ts";
import { lastJson, millrace, start } from "../millrace.ts";
import { KafkaTopics } from "./kafka-topics.ts";

const kind = kafkaKinds().at(-1);
const ROWS = 10_000;
const KILLS = times(1, 2);
const SHARED_ROWS = 20_000;

function linesOf(path: string): readonly string[] {
  return existsSync(path) ? readFileSync(path, "utf8").split("\n").filter(Boolean) : [];
}

describe.skipIf(kind === undefined)("millrace and Kafka", () => {
  let server: KafkaServer;
  let topics: KafkaTopics;
  let folder: GraphFolder;

  beforeAll(async () => {
    if (kind !== undefined) server = await KafkaServer.start(kind);
    topics = await KafkaTopics.connect(server.address);
    for (const topic of ["in", "out"]) await topics.make(topic, 2);
    for (let from = 0; from < ROWS; from += 500)
      await topics.publish(
        "in",
        Array.from({ length: 500 }, (_, i) => ({ n: from + i })),
        (from / 500) % 2,
      );
  }, 60_000);
  afterAll(async () => {
    topics?.close();
    await server?.stop();
  });
  afterEach(() => folder?.remove());

  test("a run over topic, edges and topic that is killed again and again gives every row once", async () => {
    folder = new GraphFolder({
      "graph.yaml": `name: copy
nodes:
  in:   { kind: source, from: "kafka://${server.address}/in?until=now", batch: 200 }
  even: { kind: filter, input: in, where: "event.n % 2 == 0" }
  out:  { kind: sink, input: even, to: "kafka://${server.address}/out", key: [n] }
edges:
  "in -> even": { via: kafka }
  "even -> out": { via: kafka }
`,
    });
    const args = ["run", "graph.yaml", "--until-done", "--json", "--data", folder.data];
    const edges = ["--edges", `kafka://${server.address}`];
    const written = async (): Promise<number> => (await topics.end("out", 0)) + (await topics.end("out", 1));
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
    const rows = (await topics.rows("out")).map((row) => (row as { readonly n: number }).n);
    const lost = ROWS / 2 - new Set(rows).size;
    console.log(`${ROWS} rows, ${KILLS} kills -9 of millrace: ${lost} lost, ${rows.length - new Set(rows).size} twice`);
    expect([...rows].sort((a, b) => a - b)).toEqual(Array.from({ length: ROWS / 2 }, (_, i) => i * 2));

    const refused = await millrace(args, { cwd: folder.path });
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toMatch(
      /graph\.yaml:4:\d+ HOST-EDGES edge `in -> even` leads over kafka; start with --edges/,
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
      "split.yaml": graph("defaults: { edge: { via: kafka, capacity: 2000 } }\n"),
      "in.ndjson": rows.map((row) => `${JSON.stringify(row)}\n`).join(""),
    });
    const one = await folder.finish();
    const begin = (data: string, nodes: string): ReturnType<typeof start> =>
      start(
        [
          ...["run", "split.yaml", "--until-done", "--json", "--data", join(folder.path, data)],
          ...["--edges", `kafka://${server.address}/test`, "--nodes", nodes],
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
});
