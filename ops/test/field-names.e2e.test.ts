/** Fields whose names every object has, and `__proto__`: data like any other, from the file to whatever is made of it. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GraphFolder } from "./faults/graph-folder.ts";
import { millrace } from "./millrace.ts";

/** `constructor` together with `toJSON` once ended the process. */
const ODD = [
  '{"n":1,"__proto__":{"x":1},"constructor":"c","hasOwnProperty":1,"toString":"t","toJSON":5}',
  '{"n":2,"__proto__":2,"constructor":{"prototype":1},"hasOwnProperty":2,"toString":null,"toJSON":{}}',
  '{"n":3}',
  '{"n":4,"nested":[{"__proto__":[{"__proto__":null}],"constructor":1,"toJSON":"x"}]}',
];
/** Of one shape, and enough of them to become columns. */
const EVEN = Array.from(
  { length: 12 },
  (_, n) => `{"n":${n},"__proto__":{"x":${n}},"constructor":"c${n}","toString":${n},"at":"2026-01-01T10:00:00Z"}`,
);

const GRAPH = `name: names
nodes:
  odd:  { kind: source, from: "file:./odd.ndjson" }
  even: { kind: source, from: "file:./even.ndjson", time: at, watermark: 1s }
  personal: { kind: source, from: "file:./even.ndjson", personal: { subject: constructor, fields: [__proto__, hasOwnProperty] } }
  map:  { kind: map, input: even, set: { "__proto__": "event.__proto__.x", made: "{'__proto__': event.n, 'constructor': 1, 'prototype': 2}" }, select: ["__proto__", made] }
  late: { kind: filter, input: odd, where: "event.__proto__ == 2" }
  constructor: { kind: window, input: even, tumbling: 1h, by: { "__proto__": "event.n % 2" }, compute: { constructor: count(), toString: max(event.toString) } }
  pure: { kind: calculator, input: odd, use: ./dated.ts, pure: true }
  thread: { kind: calculator, input: odd, use: ./dated.ts }
  process: { kind: calculator, input: odd, use: ./dated.ts, isolation: process }
  odd-out:  { kind: sink, input: odd, to: "file:odd.ndjson" }
  even-out: { kind: sink, input: even, to: "file:even.ndjson" }
  csv-out:  { kind: sink, input: odd, to: "file:odd.csv" }
  personal-out: { kind: sink, input: personal, to: "file:personal.ndjson", reveal: true }
  map-out:  { kind: sink, input: map, to: "file:map.ndjson" }
  late-out: { kind: sink, input: late, to: "file:late.ndjson" }
  window-out: { kind: sink, input: constructor, to: "file:window.ndjson" }
  pure-out:   { kind: sink, input: pure, to: "file:pure.ndjson" }
  thread-out: { kind: sink, input: thread, to: "file:thread.ndjson" }
  process-out: { kind: sink, input: process, to: "file:process.ndjson" }
  table: { kind: sink, input: odd, to: "projection:odd", key: [n] }
  keyed: { kind: sink, input: even, to: "projection:even", key: [constructor, __proto__] }
`;

const DATED = "export default (row: object) => ({ ...row, none: undefined, at: new Date(0) });\n";

describe("fields called __proto__, constructor and the like", () => {
  let folder: GraphFolder;

  const ask = async (...args: readonly string[]): Promise<{ readonly rows: readonly unknown[] }> => {
    const { code, stdout, stderr } = await millrace([...args, "--json", "--data", folder.data]);
    if (code !== 0) throw new Error(stderr);
    return JSON.parse(stdout) as { readonly rows: readonly unknown[] };
  };
  const linesOf = (rows: readonly unknown[]): readonly string[] => rows.map((row) => JSON.stringify(row));

  beforeAll(async () => {
    folder = new GraphFolder({
      "graph.yaml": GRAPH,
      "odd.ndjson": ODD.join("\n"),
      "even.ndjson": EVEN.join("\n"),
      "dated.ts": DATED,
    });
    await folder.finish();
  });

  afterAll(() => folder?.remove());

  it("go through a source, the log, edges and a sink as they are", () => {
    expect(folder.lines("odd.ndjson")).toEqual(ODD);
    expect(folder.lines("even.ndjson")).toEqual(EVEN);
    expect(folder.lines("personal.ndjson")).toEqual(EVEN);
    expect(folder.lines("odd.csv")).toEqual([
      "n,__proto__,constructor,hasOwnProperty,toString,toJSON",
      '1,"{""x"":1}",c,1,t,5',
      '2,2,"{""prototype"":1}",2,,{}',
      "3,,,,,",
      "4,,,,,",
    ]);
  });

  it("can be read, made and counted by", () => {
    expect(folder.lines("map.ndjson")).toEqual(
      EVEN.map((_, n) => `{"__proto__":${n},"made":{"__proto__":${n},"constructor":1,"prototype":2}}`),
    );
    expect(folder.lines("late.ndjson")).toEqual(ODD.slice(1, 2));
    const hour = '"window_start":"2026-01-01T10:00:00.000Z","window_end":"2026-01-01T11:00:00.000Z"';
    expect(folder.lines("window.ndjson")).toEqual([
      `{"__proto__":0,${hour},"constructor":6,"toString":10}`,
      `{"__proto__":1,${hour},"constructor":6,"toString":11}`,
    ]);
  });

  it.each(["pure", "thread", "process"])("are what a calculator gets and gives (%s)", (file) => {
    const wanted = ODD.map((row) => row.replace(/\}$/, ',"at":"1970-01-01T00:00:00.000Z"}'));
    expect(folder.lines(`${file}.ndjson`)).toEqual(wanted);
  });

  it("are in projections, and narrow what is read of them", async () => {
    expect(linesOf((await ask("projection", "query", "odd")).rows)).toEqual(ODD);
    const { rows } = await ask("projection", "query", "even", "--where", "constructor=c3");
    expect(linesOf(rows)).toEqual([EVEN[3]]);
  });

  it("are in dead letters, whose nodes found no such field in rows that lack it", async () => {
    const letters = await folder.deadLetters();
    expect(letters.map(({ node, error }) => [node, error.code])).toEqual([
      ["late", "EXPR-FAILED"],
      ["late", "EXPR-FAILED"],
    ]);
    expect(new Set(linesOf(letters.map(({ input }) => input)))).toEqual(new Set(ODD.slice(2)));
  });
});
