/** Calculators that do what no calculator should, each beside rows that are calculated as they should be. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { DeadLetter } from "@millrace/engine";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lastJson, millrace } from "../millrace.ts";
import { expectBalance } from "./balance.ts";
import { BYSTANDER, Bystanders } from "./bystanders.ts";
import { limitMs } from "./form.ts";
import { eventually, GraphFolder, type Server } from "./graph-folder.ts";

/** What a row asks its calculator to do. */
const ACTS = {
  good: "(row) => ({ n: row.n })",
  "throws an error": '() => { throw new Error("out of order"); }',
  "throws undefined": "() => { throw undefined; }",
  "throws null": "() => { throw null; }",
  "rejects later": 'async () => { await null; throw new Error("later"); }',
  "loops for ever": "() => { for (;;); }",
  "never settles": "() => new Promise(() => undefined)",
  "recurses without end": "function again() { return again() + 1; }",
  "calls process.exit": "() => process.exit(3)",
  "returns a function": "(row) => ({ n: row.n, f: () => 1 })",
  "returns a cycle": "(row) => { const o = { n: row.n }; o.o = o; return o; }",
  "returns a BigInt": "() => ({ n: 1n })",
  "returns a symbol": '() => Symbol("s")',
  "returns a Map": "() => new Map([[1, 2]])",
  "returns a promise inside": "(row) => ({ n: row.n, p: Promise.resolve(1) })",
  "returns what throws when it is read": '() => ({ get n() { throw new Error("hands off"); } })',
  "returns NaN": "(row) => ({ n: row.n, ratio: Number.NaN })",
  "returns nothing": "() => undefined",
  "leaves a rejection unhandled": '(row) => { Promise.reject(new Error("stray")); return { n: row.n }; }',
  "throws after it has answered": '(row) => { setTimeout(() => { throw new Error("late"); }); return { n: row.n }; }',
  "floods its output":
    '(row) => { for (let i = 0; i < 5000; i++) { console.log("x".repeat(200)); console.error("y".repeat(200)); } return { n: row.n }; }',
  "speaks to the host behind its back":
    'async (row) => { (await import("node:worker_threads")).parentPort.postMessage("rubbish"); (await import("node:worker_threads")).parentPort.postMessage({ type: "ready" }); return { n: row.n }; }',
} as const;

type Act = keyof typeof ACTS;

/** Code and, where there is one, the line of the module or the path of the bad value. */
const FAILS: readonly (readonly [Act, code: string, place: number | string | undefined])[] = [
  ["throws an error", "CALC-THREW", 3],
  ["throws undefined", "CALC-THREW", undefined],
  ["throws null", "CALC-THREW", undefined],
  ["rejects later", "CALC-THREW", 6],
  ["loops for ever", "CALC-TIMEOUT", undefined],
  ["never settles", "CALC-TIMEOUT", undefined],
  ["recurses without end", "CALC-THREW", 9],
  ["calls process.exit", "CALC-EXIT", undefined],
  ["returns a function", "CALC-RESULT", "/f"],
  ["returns a cycle", "CALC-RESULT", undefined],
  ["returns a BigInt", "CALC-RESULT", "/n"],
  ["returns a symbol", "CALC-RESULT", ""],
  ["returns a Map", "CALC-RESULT", ""],
  ["returns a promise inside", "CALC-RESULT", "/p"],
  ["returns what throws when it is read", "CALC-THREW", 17],
];

const PASSES: readonly Act[] = [
  "leaves a rejection unhandled",
  "throws after it has answered",
  "floods its output",
  "speaks to the host behind its back",
];

const MODULE = `const acts = {\n${Object.entries(ACTS)
  .map(([act, code]) => `  ${JSON.stringify(act)}: ${code},`)
  .join("\n")}\n};\nexport default (row) => acts[row.act](row);\n`;

/** Each act between two good rows. */
const ROWS = (Object.keys(ACTS) as Act[]).flatMap((act): Act[] => [act, "good"]).map((act, n) => ({ n, act }) as const);

const GRAPH = `name: hostile
nodes:
  in:   { kind: source, from: "file:./in.ndjson" }
  calc: { kind: calculator, input: in, use: ./hostile.mjs, deadline: 400ms }
  out:  { kind: sink, input: calc, to: "file:out.ndjson" }
`;

const LEAK = `name: leaking
nodes:
  in:   { kind: source, from: "file:./leak.ndjson" }
  calc: { kind: calculator, input: in, use: ./leak.mjs, deadline: 30s }
  out:  { kind: sink, input: calc, to: "file:leak.ndjson" }
`;

describe("a calculator that", () => {
  let folder: GraphFolder;
  let server: Server;
  let letters: readonly DeadLetter[];
  let bystanders: Bystanders | undefined;
  let share: number;

  const out = (): readonly { readonly n: number; readonly ratio?: unknown }[] => folder.rows("out.ndjson");
  const numberOf = (act: Act): number => ROWS.findIndex((row) => row.act === act);
  const letterOf = (act: Act): DeadLetter | undefined =>
    letters.find(({ graph, input }) => graph === "hostile" && (input as { act: Act }).act === act);

  beforeAll(async () => {
    folder = new GraphFolder({
      "bystander.yaml": BYSTANDER,
      "hostile.yaml": GRAPH,
      "hostile.mjs": MODULE,
      "in.ndjson": ROWS.map((row) => JSON.stringify(row)).join("\n"),
      "leaking.yaml": LEAK,
      "leak.mjs":
        "const more = { 2: (n) => new Array(1e6).fill(n), 4: (n) => Buffer.alloc(1 << 22, n) };\n" +
        "export default (row) => { if (!(row.n in more)) return row; for (const kept = []; ; ) kept.push(more[row.n](kept.length)); };\n",
      "leak.ndjson": [1, 2, 3, 4, 5].map((n) => `{"n":${n}}\n`).join(""),
    });
    bystanders = await Bystanders.start();
    server = await folder.serve(["bystander.yaml", "hostile.yaml", "leaking.yaml"]);
    await bystanders.watch(server);
    await server.reaches("hostile", "finished");
    await server.reaches("leaking", "finished");
    share = await bystanders.share();
    letters = await server.deadLetters();
  }, limitMs(90_000));

  afterAll(async () => {
    await bystanders?.stop();
    await server?.stop();
    folder?.remove();
  });

  it.each(FAILS)("%s gives a dead letter %s with node and reason; its neighbours pass", (act, code, place) => {
    const letter = letterOf(act);
    expect(letter).toMatchObject({ node: "calc", error: { code }, input: { n: numberOf(act) } });
    expect(letter?.error.message).not.toBe("");
    if (place !== undefined) expect(letter?.error.place?.line ?? letter?.error.place?.path).toBe(place);
    expect(out().some(({ n }) => n === numberOf(act))).toBe(false);
    expect(out().some(({ n }) => n === numberOf(act) + 1)).toBe(true);
  });

  it.each(PASSES)("%s is heard of nowhere but in its own output, and its row passes", (act) => {
    expect(letterOf(act)).toBeUndefined();
    expect(out().filter(({ n }) => n === numberOf(act))).toHaveLength(1);
  });

  it("returns NaN gives null, as JSON has it", () => {
    expect(out().find(({ n }) => n === numberOf("returns NaN"))).toEqual({ n: numberOf("returns NaN"), ratio: null });
  });

  it("leaks its heap, or buffers, gives a dead letter with its limit; its neighbours pass", () => {
    const leaked = letters.filter(({ graph }) => graph === "leaking");
    expect(leaked.map(({ error, input }) => [error.code, input])).toEqual([2, 4].map((n) => ["CALC-OOM", { n }]));
    for (const { error } of leaked) expect(error.message).toContain("256 MiB");
    expect(folder.rows("leak.ndjson")).toEqual([{ n: 1 }, { n: 3 }, { n: 5 }]);
    expectBalance({ rowsIn: 5, rowsOut: 3, deadLetters: leaked.length });
  });

  it("does any of it loses no row, and keeps the order of those that pass", () => {
    const hostile = letters.filter(({ graph }) => graph === "hostile");
    expectBalance({ rowsIn: ROWS.length, rowsOut: out().length, deadLetters: hostile.length, drops: 1 });
    expect(out().map(({ n }) => n)).toEqual(
      out()
        .map(({ n }) => n)
        .toSorted((a, b) => a - b),
    );
  });

  it("does any of it slows nobody else down: a graph beside it keeps four fifths of its rate", () => {
    expect(share).toBeGreaterThanOrEqual(0.8);
  });
});

describe("dead letters of a calculator that was corrected", () => {
  it(
    "get through exactly once when they are sent again, also over restarts",
    async () => {
      const rows = Array.from({ length: 20 }, (_, n) => ({ n }));
      const folder = new GraphFolder({
        "graph.yaml": GRAPH.replace("hostile.mjs", "flaky.mjs"),
        "in.ndjson": rows.map((row) => JSON.stringify(row)).join("\n"),
        "flaky.mjs": `import { existsSync } from "node:fs";
export default (row) => {
  if (row.n % 5 === 0 && existsSync(new URL("./broken", import.meta.url))) throw new Error("it is broken");
  return row;
};
`,
        broken: "",
      });
      const numbers = (): readonly number[] => folder.rows<{ readonly n: number }>("out.ndjson").map(({ n }) => n);
      try {
        await folder.finish();
        const letters = await folder.deadLetters();
        expectBalance({ rowsIn: 20, rowsOut: numbers().length, deadLetters: letters.length });
        expect(letters).toHaveLength(4);
        rmSync(join(folder.path, "broken"));
        const server = await folder.serve();
        const redrive = async (): Promise<unknown> => {
          const ids = letters.map(({ id }) => id);
          return lastJson((await millrace(["dlq", "redrive", ...ids, "--json", "--url", server.url])).stdout);
        };
        expect(await redrive()).toEqual({ redriven: 4 });
        await eventually(async () => expect(numbers()).toHaveLength(20));
        expect(await redrive()).toEqual({ redriven: 0 });
        await server.stop();
        await folder.finish();
        expect(numbers().toSorted((a, b) => a - b)).toEqual(rows.map(({ n }) => n));
        expect((await folder.deadLetters()).map(({ state }) => state)).toEqual(letters.map(() => "redriven"));
      } finally {
        folder.remove();
      }
    },
    limitMs(60_000),
  );
});
