/** Text files read with the addon's kernels against the same files read by TypeScript alone: the same in every value, error and place. */
import { mkdtempSync } from "node:fs";
import { open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import {
  type Column,
  ColumnBatch,
  type Json,
  reportOf,
  type SourceBatch,
  type SourceConnector,
  systemEnv,
  type TextKernels,
} from "@millrace/engine";
import { nativeText } from "@millrace/native";
import { csvSource, ndjsonSource } from "@millrace/streams/file";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";

const skipped = process.env.MILLRACE_SKIP_RUST;
const env = systemEnv();
const folder = mkdtempSync(join(tmpdir(), "millrace-text-records-"));
afterAll(() => rm(folder, { recursive: true }));

/** Counts what it passes on, so that no test passes because nothing was native. */
function counted(kernels: TextKernels): TextKernels & { taken: number } {
  const counter = {
    taken: 0,
    csv: (...options: Parameters<TextKernels["csv"]>) => watched(kernels.csv(...options)),
    json: (...options: Parameters<TextKernels["json"]>) => watched(kernels.json(...options)),
  };
  const watched = <K extends ReturnType<TextKernels["csv"]>>(kernel: K): K =>
    kernel && {
      ...kernel,
      listTexts: (field: number, isListed: boolean) => kernel.listTexts(field, isListed),
      read(bytes, from, table, row, rowsMax) {
        kernel.read(bytes, from, table, row, rowsMax);
        counter.taken += table.run[0] as number;
      },
    };
  return counter as TextKernels & { taken: number };
}

async function batches(source: SourceConnector, messagesMax: number, after: number): Promise<SourceBatch[]> {
  const reader = await source.open("0", after);
  const all: SourceBatch[] = [];
  for (let batch = await reader.read(messagesMax); batch !== "end"; batch = await reader.read(messagesMax)) {
    if (batch !== "idle") all.push(batch);
  }
  await reader.close();
  return all;
}

/** The form of a column, but for its values. */
function formOf([name, column]: readonly [string, Column]): unknown {
  if (column.type !== "dictionary") return { name, ...column };
  const { codes, nulls, dictionary } = column;
  return { name, codes, nulls, entries: dictionary.values.length };
}

/** What a reader gives, with the columns' own form where both have to have the same. */
const shown = (all: readonly SourceBatch[], isByColumn: boolean) => ({
  rows: all.flatMap(({ batch }) => [...batch.rows()]),
  positions: all.flatMap(({ batch, positions }) => Array.from({ length: batch.n }, (_, i) => positions.pos(i))),
  rejected: all.flatMap(({ rejected }) =>
    rejected.map(({ pos, error, input }) => ({ pos, input, ...reportOf(error) })),
  ),
  through: all.at(-1)?.through,
  columns: isByColumn
    ? all.map(({ batch }) => (batch instanceof ColumnBatch ? [...batch.columns].map(formOf) : []))
    : undefined,
});

/** The strict comparison is fast, the other one shows what differs. */
function expectEqual(found: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(found, expected)) expect(found).toStrictEqual(expected);
  expect(isDeepStrictEqual(found, expected)).toBe(true);
}

interface Reading {
  readonly messagesMax?: number;
  /** Message to go on behind. */
  readonly resume?: number;
  readonly isByColumn?: boolean;
}

async function expectSame(
  make: (path: string, kernels: TextKernels | undefined) => SourceConnector,
  content: string | Uint8Array,
  { messagesMax = 64, resume, isByColumn = false }: Reading = {},
): Promise<{ readonly rows: readonly Json[]; readonly rejected: number; readonly taken: number }> {
  const path = join(folder, "records");
  await writeFile(path, content);
  const kernels = counted(nativeText() as TextKernels);
  const script = shown(await batches(make(path, undefined), messagesMax, -1), isByColumn);
  expectEqual(shown(await batches(make(path, kernels), messagesMax, -1), isByColumn), script);
  const { taken } = kernels;
  if (resume !== undefined && script.positions.length > 0) {
    const after = script.positions[resume % script.positions.length] as number;
    expectEqual(
      shown(await batches(make(path, kernels), messagesMax, after), isByColumn),
      shown(await batches(make(path, undefined), messagesMax, after), isByColumn),
    );
  }
  return { rows: script.rows, rejected: script.rejected.length, taken };
}

const csv =
  (options: Partial<Parameters<typeof csvSource>[0]> = {}) =>
  (path: string, kernels: TextKernels | undefined): SourceConnector =>
    csvSource({ path, ...options, kernels }, env);
const ndjson =
  (options: Partial<Parameters<typeof ndjsonSource>[0]> = {}) =>
  (path: string, kernels: TextKernels | undefined): SourceConnector =>
    ndjsonSource({ path, ...options, kernels }, env);

const HOSTILE = [
  '"',
  '""',
  ",",
  ";",
  "\n",
  "\r",
  "\r\n",
  "\0",
  "\\",
  "{",
  "}",
  "[",
  "]",
  ":",
  "e",
  "0",
  "-",
  ".",
  " ",
  "\t",
  "|",
];
const bytesArb = fc.oneof(
  fc.constantFrom(...HOSTILE).map((text) => Buffer.from(text)),
  fc
    .constantFrom([0xff], [0xc3], [0xe2, 0x82], [0xef, 0xbb, 0xbf], [0xed, 0xa0, 0x80], [0xc0, 0xaf])
    .map((bytes) => Buffer.from(bytes)),
);
const damageArb = fc.array(fc.tuple(fc.nat(), bytesArb, fc.nat(2)), { maxLength: 4 });

/** Puts bytes in the place of others. */
function damaged(text: string, damages: readonly (readonly [number, Uint8Array, number])[]): Buffer {
  let bytes = Buffer.from(text);
  for (const [place, put, dropped] of damages) {
    const at = place % (bytes.length + 1);
    bytes = Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + dropped)]);
  }
  return bytes;
}

const numberArb = fc.oneof(
  fc.double().map(String),
  fc.integer().map(String),
  fc.bigInt().map(String),
  fc.constantFrom("-0", "0.0", "1e5", "-1E-7", "1e999", "007", "1.", ".5", "+1", "0x10", "9007199254740993", "5e-324"),
  fc.tuple(fc.bigInt({ min: 0n, max: 10n ** 25n }), fc.integer({ min: -340, max: 340 })).map(([m, e]) => `${m}e${e}`),
  fc.tuple(fc.nat(), fc.stringMatching(/^\d{1,22}$/)).map(([whole, fraction]) => `${whole}.${fraction}`),
);
const textArb = fc.oneof(
  fc.constantFrom("", "true", "false", "null", "x", "y", "Zürich", "日本", "😀", " pad ", "2001-01-01T00:00:00Z"),
  fc.string({ unit: "binary", maxLength: 8 }),
  fc.string({ unit: "grapheme-ascii", maxLength: 12 }),
);
const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
const cellArb = fc.oneof(
  { weight: 20, arbitrary: numberArb },
  { weight: 20, arbitrary: textArb.map(quoted) },
  {
    weight: 20,
    arbitrary: fc.constantFrom("", "true", "x", "y", "Zürich", "日本", " pad ", 'in"side', '"two\r\nlines"'),
  },
  { weight: 4, arbitrary: numberArb.map(quoted) },
  { weight: 1, arbitrary: textArb },
);
const lineEndArb = fc.constantFrom("\n", "\r\n", "\n\n");
const csvArb = fc
  .tuple(fc.integer({ min: 1, max: 4 }), fc.constantFrom(",", ",", ";", "\t", "|", "||", "é"), lineEndArb)
  .chain(([fields, delimiter, lineEnd]) =>
    fc.record({
      delimiter: fc.constant(delimiter),
      text: fc
        .array(fc.array(cellArb, { minLength: fields, maxLength: fields }), { maxLength: 80, size: "max" })
        .map((records) => {
          const header = Array.from({ length: fields }, (_, i) => `f${i}`);
          return [header, ...records].map((cells) => `${cells.join(delimiter)}${lineEnd}`).join("");
        }),
      types: fc.dictionary(fc.constantFrom("f0", "f1"), fc.constantFrom("text", "number", "boolean"), { maxKeys: 2 }),
      lineBytesMax: fc.constantFrom(24, 1 << 20, 1 << 20),
      damages: damageArb,
      messagesMax: fc.constantFrom(3, 20, 64),
      resume: fc.nat(),
    }),
  );

const scalarArb = fc.oneof(
  numberArb.filter((text) => /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text)),
  textArb.map((text) => JSON.stringify(text)),
  fc.constantFrom("true", "false", "null", '"\\u0041\\ud800"', '"\\/"', '"a\\nb"', "[]", '{"a":[1,{}]}'),
  fc.json({ maxDepth: 2 }),
);
const namesArb = fc.uniqueArray(fc.constantFrom("a", "b", "é", "__proto__", "0", 'q"', "a b"), {
  minLength: 1,
  maxLength: 4,
});
const ndjsonArb = fc.tuple(namesArb, namesArb, fc.constantFrom("", " ", "\t")).chain(([names, others, space]) => {
  const objectOf = (fields: readonly string[]) =>
    fc.tuple(...fields.map(() => scalarArb)).map((values) => {
      const members = fields.map((name, i) => `${JSON.stringify(name)}${space}:${space}${values[i]}`);
      return `${space}{${space}${members.join(`${space},${space}`)}${space}}${space}`;
    });
  const lineArb = fc.oneof(
    { weight: 150, arbitrary: objectOf(names) },
    { weight: 1, arbitrary: objectOf(others) },
    { weight: 1, arbitrary: fc.constantFrom("", "  ", "\u00a0", "1", "[1]", "{}", "{", '{"a":1,"a":2}') },
  );
  return fc.record({
    text: fc
      .tuple(fc.array(lineArb, { maxLength: 80, size: "max" }), lineEndArb)
      .map(([lines, end]) => lines.join(end) + end),
    damages: damageArb,
    lineBytesMax: fc.constantFrom(40, 1 << 20, 1 << 20),
    messagesMax: fc.constantFrom(3, 20, 64),
    resume: fc.nat(),
  });
});

describe.skipIf(skipped)(`text files by the addon${skipped ? ` (skipped: ${skipped})` : ""}`, () => {
  it("reads of any CSV what TypeScript reads, in the same columns", async () => {
    let taken = 0;
    await fc.assert(
      fc.asyncProperty(csvArb, async ({ text, damages, messagesMax, resume, ...options }) => {
        const read = await expectSame(csv(options), damaged(text, damages), { messagesMax, resume, isByColumn: true });
        taken += read.taken;
      }),
      { numRuns: 150 },
    );
    expect(taken).toBeGreaterThan(500);
  });

  it("reads of any NDJSON what TypeScript reads", async () => {
    let taken = 0;
    await fc.assert(
      fc.asyncProperty(ndjsonArb, async ({ text, damages, messagesMax, resume, ...options }) => {
        const read = await expectSame(ndjson(options), damaged(text, damages), { messagesMax, resume });
        taken += read.taken;
      }),
      { numRuns: 150 },
    );
    expect(taken).toBeGreaterThan(500);
  });

  const ROWS = 10_000;
  const row = (i: number): Record<string, Json> => ({
    id: `order-${i}`,
    city: i % 3 === 0 ? "Zürich" : `city ${i % 50}`,
    amount: i / 8,
    note: i % 5 === 0 ? null : `said "${i % 11}"\nand 日本`,
    paid: i % 2 === 0,
  });

  it("takes nearly all of a plain CSV file, across blocks and frames, texts that vary and texts that repeat", async () => {
    const lines = Array.from({ length: ROWS }, (_, i) =>
      Object.values(row(i)).map((value) => (typeof value === "string" ? quoted(value) : String(value ?? ""))),
    );
    const content = [Object.keys(row(0)), ...lines].map((cells) => `${cells.join(",")}\r\n`).join("");
    const { rows, taken } = await expectSame(csv(), content, { messagesMax: 200, isByColumn: true });
    expect(rows[7]).toEqual({ ...row(7), note: 'said "7"\nand 日本' });
    expect(taken).toBeGreaterThan(0.99 * ROWS);
    await expectSame(csv(), content, { messagesMax: 10_000 });
  });

  it.each([";", "\t", "|"])(
    "takes cells with %j between them, those that hold it, and those of a type",
    async (delimiter) => {
      const lines = Array.from({ length: 400 }, (_, i) => [quoted(`a${delimiter}b`), i, i, String(i).padStart(3, "0")]);
      const content = [["name", "constructor", "id", "zip"], ...lines].map((cells) => `${cells.join(delimiter)}\n`);
      const options = { delimiter, types: { zip: "text", id: "text" } } as const;
      const { rows, taken } = await expectSame(csv(options), content.join(""), { isByColumn: true });
      expect(rows[107]).toEqual({ name: `a${delimiter}b`, constructor: 107, id: "107", zip: "107" });
      expect(taken).toBe(400);
    },
  );

  it("takes nearly all of a plain NDJSON file, as columns", async () => {
    const content = Array.from(
      { length: ROWS },
      (_, i) => `${JSON.stringify({ ...row(i), list: [i % 3, { é: "ü" }] })}\n`,
    );
    const { taken } = await expectSame(ndjson(), content.join(""), { messagesMax: 10_000 });
    expect(taken).toBeGreaterThan(0.99 * ROWS);
    const read = await batches(ndjson()(join(folder, "records"), nativeText()), 10_000, -1);
    expect(read.every(({ batch }) => batch instanceof ColumnBatch)).toBe(true);
  });

  it("reads on behind what it does not take, however often that comes", async () => {
    const bad = ["1,2,3", '"x"y,1', "\0,1", '"open,1'];
    const lines = Array.from({ length: 3000 }, (_, i) => (i % 40 === 39 ? bad[(i / 40) & 3] : `${i},t${i % 9}`));
    const { taken, rejected } = await expectSame(csv(), `a,b\n${lines.join("\n")}`, {
      messagesMax: 100,
      isByColumn: true,
    });
    expect(taken).toBeGreaterThan(2500);
    expect(rejected).toBe(75);
    await expectSame(ndjson(), lines.map((line, i) => (i % 40 === 39 ? `{"n":${line}}` : `{"n":${i}}`)).join("\n"));
  });

  it("keeps lists of texts within bounds: many in one field, and texts among numbers", async () => {
    // New texts in every frame, but never so many that the field counts as one whose texts do not repeat.
    const lines = Array.from({ length: 70_000 }, (_, i) => `t${i},${i % 100 === 0 ? i : `u${i}`},${i % 7}`);
    await expectSame(csv(), `a,b,c\n${lines.join("\n")}\n`, { messagesMax: 250, isByColumn: true });
  });

  it("passes over a line of 100 MB", async () => {
    for (const [make, head, good] of [
      [csv({ lineBytesMax: 1 << 20 }), "n,m\n1,2\n", "3,4\n"],
      [ndjson({ lineBytesMax: 1 << 20 }), '{"n":1}\n{"n":2}\n', '{"n":3}\n'],
    ] as const) {
      const path = join(folder, "long");
      const file = await open(path, "w");
      await file.write(head);
      const part = Buffer.alloc(1 << 20, "x");
      for (let i = 0; i < 100; i++) await file.write(part);
      await file.write(`\n${good}`);
      await file.close();
      const of = async (kernels: TextKernels | undefined) => shown(await batches(make(path, kernels), 10, -1), false);
      const script = await of(undefined);
      expectEqual(await of(nativeText()), script);
      expect(script.rejected).toMatchObject([{ code: "MSG-SIZE", place: { file: path, line: 3 } }]);
    }
  });

  it("refuses arrays that do not fit", () => {
    const kernel = nativeText()?.csv(",", [undefined], 100);
    const table = {
      capacity: 1,
      kinds: new Uint8Array(1),
      numbers: new Float64Array(1),
      words: new Uint32Array(2),
      bits: new BigUint64Array(1),
      ends: new Uint32Array(1),
      fresh: new Uint32Array(4),
      seen: new Uint8Array(1),
      latin: new Uint8Array(8),
      wide: new Uint16Array(8),
      run: new Uint32Array(4),
    };
    const read = (change: Partial<typeof table>, rowsMax = 1, from = 0) =>
      kernel?.read(Buffer.from("abc\n"), from, { ...table, ...change }, 0, rowsMax);
    expect(() => read({})).not.toThrow();
    expect([...table.run]).toEqual([1, 4, 1, 0]);
    expect(() => read({ kinds: new Uint8Array(0) })).toThrow(/room/);
    expect(() => read({ latin: new Uint8Array(3) })).toThrow(/room/);
    expect(() => read({ wide: new Uint16Array(3) })).toThrow(/room/);
    expect(() => read({ seen: new Uint8Array(2) })).toThrow(/room/);
    expect(() => read({ run: new Uint32Array(3) })).toThrow(/4 numbers/);
    expect(() => read({}, 2)).toThrow(/room/);
    expect(() => read({}, 1, 5)).toThrow(/within/);
  });
});
