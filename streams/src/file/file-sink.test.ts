import { mkdtempSync } from "node:fs";
import { appendFile, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import {
  type Batch,
  type Column,
  ColumnBatch,
  Dictionary,
  type InputSlice,
  type Json,
  Positions,
  RowBatch,
  type SinkConnector,
  systemEnv,
} from "@millrace/engine";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { type FileSinkOptions, fileSink } from "./file-sink.ts";
import { csvLines, ndjsonLines } from "./line-format.ts";
import { csvSource } from "./text-sources.ts";

const folder = mkdtempSync(join(tmpdir(), "file-sink-"));
afterAll(() => rm(folder, { recursive: true }));
let files = 0;
const fresh = (): string => join(folder, `${files++}.out`);

function sliceOf(batch: Batch): InputSlice {
  return { lane: "lane", input: 0, batch, positions: Positions.dense(0, batch.n), late: [] };
}

function sinkOf(path: string, options: Partial<FileSinkOptions> = {}): SinkConnector {
  return fileSink({ path, format: "ndjson", claim: join(folder, "claims", `${basename(path)}.json`), ...options });
}

const rows = (...messages: Json[]): InputSlice => sliceOf(new RowBatch(messages));

test("columns are written as the same text as rows", () => {
  const nullable = <T>(values: readonly (T | null)[]): Uint8Array | null =>
    values.includes(null) ? Uint8Array.from(values, (v) => (v === null ? 1 : 0)) : null;
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          n: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true })),
          i: fc.integer(),
          t: fc.option(fc.integer({ min: -1e12, max: 4e12 })),
          d: fc.option(fc.string()),
          b: fc.boolean(),
          j: fc.jsonValue(),
        }),
        { maxLength: 8 },
      ),
      (messages) => {
        const dictionary = new Dictionary();
        const codes = Uint32Array.from(messages, ({ d }) => (d === null ? 0 : dictionary.code(d)));
        const of = <K extends keyof (typeof messages)[number]>(key: K): (typeof messages)[number][K][] =>
          messages.map((m) => m[key]);
        const columns = new Map<string, Column>([
          ["n", { type: "number", values: Float64Array.from(of("n"), (v) => v ?? 0), nulls: nullable(of("n")) }],
          ["i", { type: "number", values: Int32Array.from(of("i")), nulls: null }],
          ["t", { type: "time", values: Float64Array.from(of("t"), (v) => v ?? 0), nulls: nullable(of("t")) }],
          ['a "key"', { type: "dictionary", codes, dictionary, nulls: nullable(of("d")) }],
          ["b", { type: "boolean", values: Uint8Array.from(of("b"), Number), nulls: null }],
          ["j", { type: "json", values: of("j") as Json[] }],
        ]);
        const selection = Uint32Array.from(messages, (_, i) => i).filter((i) => i % 2 === 0);
        for (const batch of [
          new ColumnBatch(columns, null, messages.length),
          new ColumnBatch(columns, selection, selection.length),
        ]) {
          expect(ndjsonLines().lines(batch)).toBe(ndjsonLines().lines(new RowBatch(batch.rows())));
        }
      },
    ),
  );
});

test("a CSV file keeps the columns of its first message, also after a restart", async () => {
  const path = fresh();
  const first = sinkOf(path, { format: "csv" });
  await first.open(undefined);
  const committed = await first.deliver([rows({ 'say "a"': 1, b: "x,y" }, { b: 'q"q' })]);
  await first.close();
  const second = sinkOf(path, { format: "csv" });
  await second.open(committed);
  await second.deliver([rows({ b: [1, 2], c: "left out", 'say "a"': "" })]);
  await second.close();
  expect(await readFile(path, "utf8")).toBe('"say ""a""",b\n1,"x,y"\n,"q""q"\n"","[1,2]"\n');
  expect(csvLines(undefined).header(new RowBatch([5]))).toBe("value\n");
  expect(csvLines(["id", "constructor"]).lines(new RowBatch([{ id: 1 }]))).toBe("1,\n");
});

test("what a CSV sink wrote, also after a restart, a source with the same delimiter and types reads the same", async () => {
  const delimiterArb = fc.constantFrom(",", ";", "\t", "|", " ", "§", "\u{1f4a7}");
  const caseArb = delimiterArb.chain((delimiter) => {
    const unit = fc.constantFrom(delimiter, '"', "\n", "\r", "7", "true", "é", "-", ";", ",");
    const number = fc.oneof(
      fc.integer(),
      fc.double({ min: -1, max: 1, noNaN: true }).map((n) => n + 0),
    );
    const row = fc.record({
      [`t${delimiter}"é`]: fc.option(fc.string({ unit, maxLength: 5 })),
      n: fc.option(number),
      b: fc.boolean(),
    });
    return fc.record({ delimiter: fc.constant(delimiter), messages: fc.array(row, { minLength: 1, maxLength: 6 }) });
  });
  await fc.assert(
    fc.asyncProperty(caseArb, async ({ delimiter, messages }) => {
      const path = fresh();
      let committed: Json | undefined;
      for (const message of messages) {
        const sink = sinkOf(path, { format: "csv", delimiter });
        await sink.open(committed);
        committed = await sink.deliver([rows(message)]);
        await sink.close();
      }
      const types = { [`t${delimiter}"é`]: "text", n: "number", b: "boolean" } as const;
      const reader = await csvSource({ path, delimiter, types }, systemEnv()).open("0", -1);
      const read = await reader.read(100);
      await reader.close();
      expect(read).toMatchObject({ rejected: [] });
      expect(typeof read === "string" ? read : read.batch.rows()).toEqual(messages);
    }),
    { numRuns: 60 },
  );
});

test("bytes behind the committed length are cut off, and bytes that are missing are not made up", async () => {
  const path = fresh();
  const sink = sinkOf(path);
  await sink.open(undefined);
  const committed = await sink.deliver([rows(1, 2)]);
  await sink.close();
  await appendFile(path, '{"half":');
  await sink.open(committed);
  await sink.deliver([rows(3)]);
  await sink.close();
  expect(await readFile(path, "utf8")).toBe("1\n2\n3\n");
  await writeFile(path, "1\n");
  await expect(sink.open(committed)).rejects.toMatchObject({ code: "SINK-FAILED", kind: "transient" });
  await sink.close();
});

describe("a file that is not empty when nothing is committed", () => {
  const refusal = (path: string) => ({ code: "SINK-OCCUPIED", kind: "transient", place: { file: path } });

  test("is refused and left as it is, whether it came before the sink was opened or before it wrote first", async () => {
    const path = fresh();
    await writeFile(path, "left by somebody\n");
    const sink = sinkOf(path);
    await expect(sink.open(undefined)).rejects.toMatchObject(refusal(path));
    await writeFile(path, "");
    await sink.open(undefined);
    await appendFile(path, "left meanwhile\n");
    await expect(sink.deliver([rows(1)])).rejects.toMatchObject(refusal(path));
    expect(await readFile(path, "utf8")).toBe("left meanwhile\n");
    await sink.close();
  });

  test("is cut if the sink has begun it, and refused again if another has taken its place", async () => {
    const path = fresh();
    const killed = sinkOf(path);
    await killed.open(undefined);
    await killed.deliver([rows(1, 2)]);
    await killed.close();
    const next = sinkOf(path);
    await next.open(undefined);
    expect(await readFile(path, "utf8")).toBe("");
    await next.close();
    await writeFile(`${path}.new`, "left by somebody\n");
    await rename(`${path}.new`, path);
    await expect(next.open(undefined)).rejects.toMatchObject(refusal(path));
    await expect(sinkOf(path, { claim: join(folder, "none.json") }).open(undefined)).rejects.toThrow("is not empty");
    expect(await readFile(path, "utf8")).toBe("left by somebody\n");
  });

  test("is replaced for a sink that says so", async () => {
    const path = fresh();
    await writeFile(path, "left by somebody\n");
    const sink = sinkOf(path, { replace: true });
    await sink.open(undefined);
    await appendFile(path, "left meanwhile, and longer\n");
    await sink.deliver([rows(1)]);
    await sink.close();
    expect(await readFile(path, "utf8")).toBe("1\n");
  });
});

describe("another file in the place of one that a sink has committed", () => {
  const big = "é".repeat(3000);
  const committedIn = async (path: string): Promise<{ readonly sink: SinkConnector; readonly committed: Json }> => {
    const sink = sinkOf(path);
    await sink.open(undefined);
    await sink.deliver([rows(1)]);
    const committed = await sink.deliver([rows(big, 2)]);
    await sink.close();
    return { sink, committed };
  };
  const foreign = `${JSON.stringify(big)}\nleft by somebody, and no shorter\n`;

  test.each([
    ["the same inode", false],
    ["an inode of its own", true],
  ])("is refused and left as it is, with %s", async (_, isMoved) => {
    const path = fresh();
    const { sink, committed } = await committedIn(path);
    await writeFile(isMoved ? `${path}.new` : path, foreign);
    if (isMoved) await rename(`${path}.new`, path);
    await expect(sink.open(committed)).rejects.toMatchObject({ code: "SINK-OCCUPIED", place: { file: path } });
    expect(await readFile(path, "utf8")).toBe(foreign);
  });

  test("is the sink's own if it is a copy: what lies behind is cut", async () => {
    const path = fresh();
    const { sink, committed } = await committedIn(path);
    const written = await readFile(path, "utf8");
    await writeFile(`${path}.copy`, `${written}"half`);
    await rename(`${path}.copy`, path);
    await sink.open(committed);
    await sink.deliver([rows(3)]);
    await sink.close();
    expect(await readFile(path, "utf8")).toBe(`${written}3\n`);
  });

  test("is known by its inode where the bytes were not committed, as by an earlier version", async () => {
    const path = fresh();
    const { sink, committed } = await committedIn(path);
    const earlier = { bytes: Number((committed as { readonly bytes: number }).bytes) };
    await appendFile(path, '"half');
    await sink.open(earlier);
    await sink.close();
    await writeFile(`${path}.new`, foreign);
    await rename(`${path}.new`, path);
    await expect(sink.open(earlier)).rejects.toMatchObject({ code: "SINK-OCCUPIED" });
    expect(await readFile(path, "utf8")).toBe(foreign);
  });
});

test("a delivery is repeated in one piece after it failed half-way", async () => {
  const path = fresh();
  const sink = sinkOf(path);
  await sink.open(undefined);
  const committed = await sink.deliver([rows("a")]);
  const broken = {
    ...rows(),
    batch: new Proxy(new RowBatch(["c"]), {
      get: (target, name) => (name === "rows" ? fail : Reflect.get(target, name)),
    }),
  };
  const big = "b".repeat(300_000);
  await expect(sink.deliver([rows(big), broken])).rejects.toMatchObject({ code: "SINK-FAILED" });
  expect(await readFile(path, "utf8")).toBe('"a"\n');
  expect(committed).toMatchObject({ bytes: 4 });
  expect(await sink.deliver([rows("d")])).toMatchObject({ bytes: 8 });
  expect(await readFile(path, "utf8")).toBe('"a"\n"d"\n');
  await sink.close();
});

function fail(): never {
  throw new Error("the disk is full");
}

test("a folder in the file's place is a failure that may pass", async () => {
  const sink = sinkOf(folder);
  await expect(sink.open(undefined)).rejects.toMatchObject({
    code: "SINK-FAILED",
    kind: "transient",
    place: { file: folder },
  });
  await sink.close();
});
