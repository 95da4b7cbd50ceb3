/** What a prune knows of a node without compiling it is what the node is compiled to. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseGraph, systemEnv } from "@millrace/engine";
import { afterAll, expect, it } from "vitest";
import { compileGraph } from "../compile/compile-graph.ts";
import { ProjectionTables } from "../host/projection-tables.ts";
import { stateBehavior } from "../host/state-behavior.ts";
import { roleOf } from "./graph-carry.ts";

const env = systemEnv();
const dir = mkdtempSync(join(tmpdir(), "millrace-roles-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const GRAPH = `name: kinds
nodes:
  read:     { kind: source, from: "file:./rows.csv", time: at }
  recorded: { kind: source, from: "file:./rows.csv", record: true }
  pushed:   { kind: source, from: "http:/in" }
  ticks:    { kind: source, from: "metronome:1s" }
  polled:   { kind: source, from: "https://localhost/x" }
  some:     { kind: filter, input: read, where: "event.n > 1" }
  mapped:   { kind: map, input: some, set: { m: event.n } }
  latest:   { kind: map, input: [pushed, ticks, polled], set: { m: event.n }, mode: state }
  named:    { kind: enrich, input: mapped, table: "file:./names.csv", key: event.name, on: name, as: who }
  looked:   { kind: enrich, input: named, table: "projection:names", key: event.name, on: name, as: now }
  counted:  { kind: window, input: looked, tumbling: 1m, by: { name: event.name }, compute: { n: "count()" } }
  pure:     { kind: calculator, input: counted, use: ./pure.mjs, pure: true }
  own:      { kind: calculator, input: pure, use: ./pure.mjs }
  summed:   { kind: calculator, input: own, use: ./sum.mjs, isolation: process }
  both:     { kind: merge, inputs: [summed, latest, recorded] }
  ways:     { kind: switch, input: both, cases: { few: "event.n < 3" }, otherwise: many }
  board:    { kind: sink, input: ways.few, to: "projection:board", key: [name] }
  file:     { kind: sink, input: ways.many, to: "file:out.ndjson" }
`;

it("its role, and that its state can be folded", async () => {
  writeFileSync(join(dir, "rows.csv"), "at,name,n\n2026-01-01T00:00:01Z,a,1\n");
  writeFileSync(join(dir, "names.csv"), "name,full\na,Ann\n");
  writeFileSync(join(dir, "pure.mjs"), "export default (row) => row;\n");
  writeFileSync(
    join(dir, "sum.mjs"),
    "let s = 0;\nexport default { calculate: (row) => ({ ...row, s: (s += 1) }), snapshot: () => s, restore(x) { s = x ?? 0; } };\n",
  );
  const parsed = parseGraph(GRAPH, { file: "graph.yaml" });
  if ("problems" in parsed) throw new Error(JSON.stringify(parsed.problems, null, 2));
  const options = { dir, out: join(dir, "out"), env, tables: new ProjectionTables(), secrets: {} };
  const { program } = await compileGraph(parsed.graph, GRAPH, options);
  const committed = new Set(program.nodes.filter(({ role }) => role === "committed").map(({ name }) => name));
  for (const node of parsed.graph.nodes.values()) {
    const compiled = program.nodes.find(({ name }) => name === node.name);
    expect([node.name, roleOf(node, committed)]).toEqual([node.name, compiled?.role]);
    if (compiled?.role !== "committed") continue;
    const real = compiled.make();
    const fold = await stateBehavior(node, parsed.graph, env);
    if (real.snapshot === undefined) continue;
    expect([node.name, fold.snapshot?.()]).toEqual([node.name, real.snapshot()]);
    await real.close?.();
  }
  expect(committed.size).toBeGreaterThan(8);
});
