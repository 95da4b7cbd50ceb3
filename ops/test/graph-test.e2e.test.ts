/** `millrace test`: the tests that graph files have. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { lastJson, millrace } from "./millrace.ts";

const GRAPH = `name: late-flights
nodes:
  flights: { kind: source, from: "kafka://nowhere.example/flights?group=g", time: at, watermark: 1h }
  late: { kind: filter, input: flights, where: "event.delay >= 15" }
  hourly:
    kind: window
    input: late
    tumbling: 1h
    by: { origin: event.origin }
    compute: { flights: count(), worst: max(event.delay) }
  scored: { kind: calculator, input: hourly, use: ./score.mjs }
  board: { kind: sink, input: scored, to: "projection:departures", key: [origin, window_start] }
  raw: { kind: sink, input: late, to: "nats://nowhere.example/jetstream/late" }
edges:
  "flights -> late": { via: kafka }
tests:
  - name: late flights are counted by the hour
    given:
      flights:
        - { at: "2001-01-01T10:05:00Z", origin: SFO, delay: 20 }
        - { at: "2001-01-01T10:45:00Z", origin: SFO, delay: 40 }
        - { at: "2001-01-01T10:50:00Z", origin: SFO, delay: 4 }
        - { at: "2001-01-01T11:05:00Z", origin: LAX, delay: 15 }
    expect:
      board:
        - { origin: SFO, window_start: "2001-01-01T10:00:00.000Z", window_end: "2001-01-01T11:00:00.000Z", flights: 2, worst: 40, bad: true }
        - { origin: LAX, window_start: "2001-01-01T11:00:00.000Z", window_end: "2001-01-01T12:00:00.000Z", flights: 1, worst: 15, bad: false }
`;
const FAILING = `${GRAPH}  - given:
      flights: [{ at: "2001-01-01T10:05:00Z", origin: A, delay: x }, { at: "2001-01-01T10:05:00Z", origin: A, delay: 16 }]
    expect:
      raw: [{ at: "2001-01-01T10:05:00Z", origin: A, delay: 17 }]
`;
const FILES = {
  "score.mjs": "export default (row) => ({ ...row, bad: row.worst > 30 });",
  "good.yaml": GRAPH,
  "bad.yaml": FAILING,
  "plain.yaml": GRAPH.slice(0, GRAPH.indexOf("tests:")),
  "wrong.yaml": GRAPH.replace("board:\n        -", "bord:\n        -"),
  "table.yaml": `name: looks-up
nodes:
  in: { kind: source, from: "nats://nowhere.example/core/in" }
  with: { kind: enrich, input: in, table: "projection:board", key: event.id, on: id, as: row }
  out: { kind: sink, input: with, to: "discard:" }
tests:
  - { given: { in: [{ id: 1 }] }, expect: { out: [] } }
`,
};
let cwd: string;
beforeAll(() => {
  cwd = mkdtempSync(join(tmpdir(), "millrace-graph-test-"));
  for (const [name, text] of Object.entries(FILES)) writeFileSync(join(cwd, name), text);
});
afterAll(() => rmSync(cwd, { recursive: true }));

it("runs the whole graph between given and expected rows, without its brokers, and leaves nothing behind", async () => {
  expect(await millrace(["test", "good.yaml", "plain.yaml"], { cwd })).toMatchObject({
    code: 0,
    stdout: "ok   good.yaml:17:5 late flights are counted by the hour\n1 test passed, 0 failed\n",
    stderr: "",
  });
  expect(readdirSync(cwd).sort()).toEqual(Object.keys(FILES).sort());
});

it("tells which rows a sink did not get, which it got, and what nodes gave up; ends with 1", async () => {
  const { code, stdout } = await millrace(["test", "bad.yaml"], { cwd });
  expect(code).toBe(1);
  const lines = stdout.split("\n").map((line) => line.replace(/(gave up .*: EXPR-\w+) .*/, "$1 …"));
  expect(lines).toEqual([
    "ok   bad.yaml:17:5 late flights are counted by the hour",
    "FAIL bad.yaml:28:5 test 2",
    '       raw did not get {"at":"2001-01-01T10:05:00Z","origin":"A","delay":17}',
    '       raw got         {"at":"2001-01-01T10:05:00Z","origin":"A","delay":16}',
    '       late gave up {"at":"2001-01-01T10:05:00Z","origin":"A","delay":"x"}: EXPR-FAILED …',
    "1 test passed, 1 failed",
    "",
  ]);
  const json = await millrace(["test", "bad.yaml", "--json"], { cwd });
  expect(json.code).toBe(1);
  expect(lastJson(json.stdout)).toMatchObject({
    ok: false,
    tests: [
      { graph: "late-flights", test: "late flights are counted by the hour", ok: true, sinks: [], deadLetters: [] },
      {
        test: "test 2",
        ok: false,
        sinks: [{ sink: "raw", missing: [{ delay: 17 }], unexpected: [{ delay: 16 }] }],
        deadLetters: [{ node: "late", error: { code: "EXPR-FAILED" } }],
      },
    ],
  });
});

it("refuses a graph that is wrong, and one whose rows come from elsewhere, with the place", async () => {
  const wrong = await millrace(["test", "wrong.yaml"], { cwd });
  expect(wrong).toMatchObject({ code: 2, stdout: "" });
  expect(wrong.stderr).toMatch(/^GRAPH-INVALID found 1 problem\n {2}wrong\.yaml:25:7 GRAPH-REF .*bord/);
  const table = await millrace(["test", "table.yaml"], { cwd });
  expect(table).toMatchObject({ code: 2, stdout: "" });
  expect(table.stderr).toMatch(/^table\.yaml:4:\d+ CLI-USAGE with looks rows up in a projection/);
});
