/** Files that are not what they claim to be. Every graph of this file runs on one host, beside one that nothing is wrong with. */
import { once } from "node:events";
import { createWriteStream, readFileSync } from "node:fs";
import { join } from "node:path";
import type { DeadLetter } from "@millrace/engine";
import { Table, tableToIPC, vectorFromArray } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { root } from "../millrace.ts";
import { expectBalance } from "./balance.ts";
import { BYSTANDER, Bystanders } from "./bystanders.ts";
import { limitMs } from "./form.ts";
import { eventually, GraphFolder, type Server } from "./graph-folder.ts";

const bytes = (...parts: readonly (string | number)[]): Buffer =>
  Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : Buffer.from([part]))));

interface BadFile {
  readonly file: string;
  readonly content: Uint8Array;
  /** Rows that somebody meant to be in it. */
  readonly rowsIn: number;
  /** Field `n` of those that get through. */
  readonly good: readonly number[];
  /** Code and place of those that do not, in the order of the file. */
  readonly bad: readonly (readonly [code: string, place: number | string])[];
}

const CASES: Readonly<Record<string, BadFile>> = {
  "NDJSON with a byte order mark, cut objects, an invalid encoding, NUL bytes, empty lines and no last line end": {
    file: "rows.ndjson",
    content: bytes(
      '\ufeff{"n":1}\n{"n":2,\n[1,2\n{"n":3,"s":"',
      0xff,
      0xfe,
      '"}\n{"n":4,"s":"a\0b"}\n\0\0\n{"n":5}\r\n\n{"n":6,"__proto__":{"x":1}}\n{"n":7}',
    ),
    rowsIn: 9,
    good: [1, 5, 6, 7],
    bad: [
      ["MSG-DECODE", 2],
      ["MSG-DECODE", 3],
      ["MSG-DECODE", 4],
      ["MSG-DECODE", 5],
      ["MSG-DECODE", 6],
    ],
  },
  "NDJSON in UTF-16": {
    file: "utf16.ndjson",
    content: Buffer.from('{"n":1}\n{"n":2}', "utf16le"),
    rowsIn: 2,
    good: [],
    bad: [
      ["MSG-DECODE", 1],
      ["MSG-DECODE", 2],
    ],
  },
  "CSV with a byte order mark, lacking and surplus cells, stray and unclosed quotes, an invalid encoding and NUL bytes":
    {
      file: "rows.csv",
      content: bytes('\ufeffn,s\n1,a\n2\n3,b,c\n4,"x\ny"\n5,"bad"quote\n6,', 0xe9, '\n7,nul\0l\n8,"unclosed\n9,z\n'),
      rowsIn: 9,
      good: [1, 4, 9],
      bad: [
        ["MSG-DECODE", 3],
        ["MSG-DECODE", 4],
        ["MSG-DECODE", 7],
        ["MSG-DECODE", 8],
        ["MSG-DECODE", 9],
        ["MSG-DECODE", 10],
      ],
    },
  "a JSON array with items that are none": {
    file: "rows.json",
    content: bytes('[{"n":1},{"n":2,},{"n":3},nope,{"n":4}]'),
    rowsIn: 5,
    good: [1, 3, 4],
    bad: [
      ["MSG-DECODE", "/1"],
      ["MSG-DECODE", "/3"],
    ],
  },
};

const LONG_LINE = "a line of 100 MB";
const LONG_LINE_MIB = 100;
const TIMES = "unreadable times";

const IMPATIENT = "supervision: { intensity: 1, backoffMs: 1, backoffMaxMs: 2 }";

const graphOf = (name: string, file: string, more = ""): string => `name: ${name}
nodes:
  in:  { kind: source, from: "file:./${file}"${more} }
  out: { kind: sink, input: in, to: "file:${name}.ndjson" }
`;

const names = new Map([...Object.keys(CASES), LONG_LINE, TIMES].map((title, i) => [title, `case-${i}`]));
const nameOf = (title: string): string => names.get(title) as string;

/** Written piece by piece: no string of this length is wanted here either. */
async function writeLongLine(path: string): Promise<void> {
  const file = createWriteStream(path);
  file.write('{"n":1}\n{"s":"');
  const piece = Buffer.alloc(1 << 20, "x");
  for (let i = 0; i < LONG_LINE_MIB; i++) if (!file.write(piece)) await once(file, "drain");
  file.end('"}\n{"n":2}\n');
  await once(file, "close");
}

describe("bad rows", () => {
  let folder: GraphFolder;
  let server: Server;
  let letters: readonly DeadLetter[];
  let bystanders: Bystanders | undefined;
  let share: number;

  const lettersOf = (title: string): readonly DeadLetter[] => letters.filter(({ graph }) => graph === nameOf(title));
  const good = (title: string): readonly number[] =>
    folder.rows<{ readonly n: number }>(`${nameOf(title)}.ndjson`).map(({ n }) => n);

  beforeAll(async () => {
    const times = ['"2001-01-01T00:00:00Z"', '"yesterday"', "978307200000", "null", '{"at":1}', '"2001-13-01"'];
    folder = new GraphFolder({
      ...Object.fromEntries(Object.values(CASES).map(({ file, content }) => [file, content])),
      ...Object.fromEntries(
        Object.entries(CASES).map(([title, { file }]) => [`${nameOf(title)}.yaml`, graphOf(nameOf(title), file)]),
      ),
      "times.ndjson": times.map((t, n) => `{"n":${n},"t":${t}}`).join("\n"),
      [`${nameOf(TIMES)}.yaml`]: graphOf(nameOf(TIMES), "times.ndjson", ", time: t, watermark: 1h"),
      [`${nameOf(LONG_LINE)}.yaml`]: graphOf(nameOf(LONG_LINE), "long.ndjson"),
      "bystander.yaml": BYSTANDER,
    });
    await writeLongLine(join(folder.path, "long.ndjson"));
    bystanders = await Bystanders.start();
    server = await folder.serve(["bystander.yaml", ...[...names.values()].map((name) => `${name}.yaml`)]);
    await bystanders.watch(server);
    for (const name of names.values()) await server.reaches(name, "finished");
    share = await bystanders.share();
    letters = await server.deadLetters();
  }, limitMs(60_000));

  afterAll(async () => {
    await bystanders?.stop();
    await server?.stop();
    folder?.remove();
  });

  it.each(Object.entries(CASES))("of %s become dead letters with file and place; the others flow", (title, bad) => {
    const found = lettersOf(title);
    expect(good(title)).toEqual(bad.good);
    expect(found.map(({ error }) => [error.code, error.place?.line ?? error.place?.path])).toEqual(bad.bad);
    for (const { node, error } of found) {
      expect({ node, file: error.place?.file }).toEqual({ node: "in", file: join(folder.path, bad.file) });
      expect(error.message).not.toBe("");
    }
    expectBalance({ rowsIn: bad.rowsIn, rowsOut: good(title).length, deadLetters: found.length });
  });

  it(`of ${LONG_LINE} become dead letters that hold their beginning only`, () => {
    const [letter, ...others] = lettersOf(LONG_LINE);
    expect(others).toEqual([]);
    expect(letter?.error).toMatchObject({ code: "MSG-SIZE", place: { line: 2 } });
    expect(String(letter?.input).length).toBeLessThan(10_000);
    expectBalance({ rowsIn: 3, rowsOut: good(LONG_LINE).length, deadLetters: 1 });
  });

  it(`of ${TIMES} become dead letters; a time that is none moves no watermark`, () => {
    expect(good(TIMES)).toEqual([0, 2]);
    expect(lettersOf(TIMES).map(({ error, input }) => [error.code, (input as { n: number }).n])).toEqual([
      ["MSG-TIME", 1],
      ["MSG-TIME", 3],
      ["MSG-TIME", 4],
      ["MSG-TIME", 5],
    ]);
    expectBalance({ rowsIn: 6, rowsOut: 2, deadLetters: lettersOf(TIMES).length });
  });

  it("slow nobody else down: a graph beside them keeps four fifths of its rate", () => {
    expect(share).toBeGreaterThanOrEqual(0.8);
  });
});

describe("a source that cannot be read on", () => {
  it.each([
    [
      "Parquet",
      "flights.parquet",
      () => readFileSync(join(root, "node_modules/vega-datasets/data/flights-3m.parquet")),
    ],
    ["Arrow", "rows.arrow", () => tableToIPC(new Table({ n: vectorFromArray(range(5000)) }), "file")],
    ["JSON", "rows.json", () => Buffer.from(JSON.stringify(range(100).map((n) => ({ n }))))],
  ])(
    "because its %s file is cut off parks with the file's name, and ends the run with 1",
    async (_kind, file, whole) => {
      const all = whole();
      const folder = new GraphFolder({
        [file]: all.subarray(0, Math.floor(all.length * 0.7)),
        "graph.yaml": graphOf("cut", file).replace("nodes:", `${IMPATIENT}\nnodes:`),
      });
      try {
        const { code, stderr } = await folder.run();
        expect(code).toBe(1);
        expect(stderr).toContain("SOURCE-DAMAGED");
        expect(stderr).toContain(file);
      } finally {
        folder.remove();
      }
    },
  );

  it("because its file is missing is refused with its place in the graph file", async () => {
    const folder = new GraphFolder({ "graph.yaml": graphOf("late", "late.ndjson") });
    const { code, stderr } = await folder.run();
    folder.remove();
    expect(code).toBe(2);
    expect(stderr).toContain("graph.yaml:3:30 GRAPH-FILE there is no file `./late.ndjson`");
  });

  it("because its followed file is missing waits for it, and reads it when it appears", async () => {
    const folder = new GraphFolder({ "graph.yaml": graphOf("late", "late.ndjson", ", follow: true") });
    const server = await folder.serve();
    try {
      await eventually(async () =>
        expect((await server.status("late")).nodes[0]?.lastError?.code).toBe("SOURCE-MISSING"),
      );
      folder.write({ "late.ndjson": '{"n":1}\n{"n":2}\n' });
      await eventually(async () => expect(folder.lines("late.ndjson")).toEqual(['{"n":1}', '{"n":2}']));
      const { nodes } = await server.status("late");
      expect(nodes.map(({ state, lastError }) => [state, lastError])).toEqual([
        ["running", null],
        ["running", null],
      ]);
      expectBalance({ rowsIn: 2, rowsOut: folder.lines("late.ndjson").length, deadLetters: 0 });
    } finally {
      await server.stop();
      folder.remove();
    }
  });
});

function range(n: number): readonly number[] {
  return Array.from({ length: n }, (_, i) => i);
}
