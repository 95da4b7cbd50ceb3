import { mkdtempSync } from "node:fs";
import { appendFile, open, rename, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Env,
  type Json,
  reportOf,
  type SourceBatch,
  type SourceConnector,
  type SourceReader,
  systemEnv,
} from "@millrace/engine";
import { parse } from "csv-parse/sync";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { csvSource, ndjsonSource } from "./text-sources.ts";

const env: Env = systemEnv();
const folder = mkdtempSync(join(tmpdir(), "line-source-"));
afterAll(() => rm(folder, { recursive: true }));
let files = 0;
const fresh = (extension = "ndjson"): string => join(folder, `${files++}.${extension}`);

interface Taken {
  readonly rows: Json[];
  readonly positions: number[];
  readonly rejected: string[];
  readonly lines: (number | undefined)[];
  through: number;
}

function note(taken: Taken, batch: SourceBatch): void {
  taken.rows.push(...batch.batch.rows());
  for (let i = 0; i < batch.batch.n; i++) taken.positions.push(batch.positions.pos(i));
  for (const { error } of batch.rejected) {
    taken.rejected.push(reportOf(error).message);
    taken.lines.push(reportOf(error).place?.line);
  }
  taken.through = batch.through;
}

const nothing = (): Taken => ({ rows: [], positions: [], rejected: [], lines: [], through: -1 });

async function whole(source: SourceConnector, after = -1, messagesMax = 1000): Promise<Taken> {
  const reader = await source.open("0", after);
  const taken = nothing();
  for (let batch = await reader.read(messagesMax); batch !== "end"; batch = await reader.read(messagesMax)) {
    if (batch !== "idle") note(taken, batch);
  }
  await reader.close();
  return taken;
}

/** What is there until the reader is idle twice: the first time it may have met the end of a rotated file. */
async function present(reader: SourceReader): Promise<Taken> {
  const taken = nothing();
  for (let idle = 0; idle < 2; ) {
    const batch = await reader.read(10);
    if (typeof batch === "string") idle++;
    else note(taken, batch);
  }
  return taken;
}

const fieldArb = fc.stringMatching(/^[a-z0-9 ,"\n.é-]{0,6}$/);

test("whatever CSV a careful writer makes is read as the library reads it, cut anywhere", async () => {
  const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fieldArb, fieldArb), { maxLength: 12 }), fc.nat(12), async (records, index) => {
      const path = fresh("csv");
      const text = `a,b\n${records.map((fields) => `${fields.map(quoted).join(",")}\n`).join("")}`;
      await writeFile(path, text);
      const taken = await whole(csvSource({ path }, env), -1, 5);
      expect(taken.rows).toEqual(parse(text, { columns: true }));
      expect(taken.rejected).toEqual([]);
      const after = taken.positions[Math.min(index, taken.rows.length - 1)] ?? -1;
      expect((await whole(csvSource({ path }, env), after, 3)).rows).toEqual(
        taken.rows.slice(taken.positions.indexOf(after) + 1),
      );
    }),
    { numRuns: 60 },
  );
});

test("a CSV cell is read by what it is: numbers and booleans, identifiers as texts, nothing as null", async () => {
  const path = fresh("csv");
  await writeFile(
    path,
    '\ufeffa,b\r\n1,-2.5e3\r\n007,12345678901234567890\r\ntrue,"true"\r\n,""\r\n1e999,+1\r\n0x10, 5\r\n',
  );
  expect((await whole(csvSource({ path }, env))).rows).toEqual([
    { a: 1, b: -2500 },
    { a: "007", b: "12345678901234567890" },
    { a: true, b: "true" },
    { a: null, b: "" },
    { a: "1e999", b: "+1" },
    { a: "0x10", b: " 5" },
  ]);
});

test("declared types hold for every cell, and a cell that is not of its type is rejected with its line", async () => {
  const path = fresh("csv");
  await writeFile(path, 'zip;n\n007;1\n"8";"2"\n9;x\n;\n');
  const taken = await whole(csvSource({ path, delimiter: ";", types: { zip: "text", n: "number" } }, env));
  expect(taken.rows).toEqual([
    { zip: "007", n: 1 },
    { zip: "8", n: 2 },
    { zip: null, n: null },
  ]);
  expect([taken.rejected, taken.lines]).toEqual([['"x" is no number, as n is'], [4]]);
});

test("a header that lacks or repeats names is rejected once, and its file is read all the same", async () => {
  const path = fresh("csv");
  await writeFile(path, "a,,a\n1,2,3\n4,5,6\n");
  const taken = await whole(csvSource({ path }, env));
  expect(taken.rows).toEqual([
    { a: 1, column_2: 2, a_2: 3 },
    { a: 4, column_2: 5, a_2: 6 },
  ]);
  expect(taken.rejected.length).toBe(1);
  const rest = await whole(csvSource({ path }, env), taken.positions[0]);
  expect([rest.rows, rest.rejected]).toEqual([[{ a: 4, column_2: 5, a_2: 6 }], []]);
});

test("a file of another delimiter is not taken for one of a single column without a word", async () => {
  const path = fresh("csv");
  await writeFile(path, "id;name\n1;x\n");
  const rejected = ['the header has one name, "id;name": what separates cells is ","; if it is ";", set `delimiter`'];
  expect(await whole(csvSource({ path }, env))).toMatchObject({ rows: [{ "id;name": "1;x" }], rejected });
  expect(await whole(csvSource({ path, delimiter: ";" }, env))).toMatchObject({ rejected: [] });
  await writeFile(path, "id,name\n");
  const other = ['the header has one name, "id,name": what separates cells is "\\t"; if it is ",", set `delimiter`'];
  expect((await whole(csvSource({ path, delimiter: "\t" }, env))).rejected).toEqual(other);
});

test("a type for a field that the header lacks is told, and a field that no type names may be called as it likes", async () => {
  const path = fresh("csv");
  await writeFile(path, 'zip_code,constructor\n1,"7"\n');
  expect(await whole(csvSource({ path, types: { zipcode: "text" } }, env))).toMatchObject({
    rows: [{ zip_code: 1, constructor: "7" }],
    rejected: ['the header has no "zipcode", whose cells are to be text; did you mean `zip_code`?'],
  });
});

test("a quote that is never closed costs its own line, not the rest of the file", async () => {
  const path = fresh("csv");
  await writeFile(path, `a,b\n1,2\n3,"oops\n${Array.from({ length: 50 }, (_, i) => `${i},"x ${i}"\n`).join("")}`);
  const taken = await whole(csvSource({ path }, env));
  expect([taken.rows.length, taken.lines]).toEqual([51, [3]]);
});

test("a quote that is open at the end of the file costs its own line", async () => {
  for (const end of ["", "\n", "\n9,9", "\n9,9\n"]) {
    const path = fresh("csv");
    await writeFile(path, `a,b\n1,2\n3,"oops${end}`);
    const taken = await whole(csvSource({ path }, env));
    expect([taken.rows.length, taken.lines]).toEqual([end.includes("9") ? 2 : 1, [3]]);
  }
});

test("a stray quote does not make the rest of a large file be held", async () => {
  const path = fresh("csv");
  await writeFile(path, `a,b\n3,"oops\n${"1,2\n".repeat(500_000)}`);
  const reader = await csvSource({ path }, env).open("0", -1);
  const batch = (await reader.read(5)) as SourceBatch;
  await reader.close();
  expect([batch.batch.n, batch.rejected.length]).toEqual([4, 1]);
  expect((await whole(csvSource({ path }, env), -1, 4096)).rows.length).toBe(500_000);
});

test("a line of 100 MB is passed over without being held, and what follows flows", async () => {
  const path = fresh();
  const file = await open(path, "w");
  await file.write('{"n":1}\n"');
  const part = Buffer.alloc(1 << 20, "x");
  for (let i = 0; i < 100; i++) await file.write(part);
  await file.write('"\n{"n":2}\n');
  await file.close();
  const before = process.memoryUsage().arrayBuffers;
  const reader = await ndjsonSource({ path, lineBytesMax: 1 << 20 }, env).open("0", -1);
  const batch = (await reader.read(10)) as SourceBatch;
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(60 << 20);
  await reader.close();
  expect(batch.batch.rows()).toEqual([{ n: 1 }, { n: 2 }]);
  expect(batch.rejected.map(({ error }) => reportOf(error))).toMatchObject([
    { code: "MSG-SIZE", place: { file: path, line: 2 } },
  ]);
  expect(String(batch.rejected[0]?.input).length).toBeLessThanOrEqual(4096);
});

test("the last line counts without a line end, blank lines and carriage returns do not matter", async () => {
  const path = fresh();
  await writeFile(path, '\ufeff1\r\n\r\n  \n2\n\n{"a":"3"}');
  const taken = await whole(ndjsonSource({ path }, env), -1, 1);
  expect(taken.rows).toEqual([1, 2, { a: "3" }]);
  expect((await whole(ndjsonSource({ path }, env), taken.positions[2])).rows).toEqual([]);
});

test("a file that is shorter than what was read of it is not read on", async () => {
  const path = fresh();
  await writeFile(path, "1\n2\n");
  const reader = await ndjsonSource({ path }, env).open("0", 40);
  await expect(reader.read(5)).rejects.toMatchObject({ code: "SOURCE-TRUNCATED", place: { file: path, position: 40 } });
  await reader.close();
});

const followed = (path: string): SourceConnector => ndjsonSource({ path, follow: true, pollMs: 2 }, env);

test("a followed file gives what is appended, a line once it is whole", async () => {
  const path = fresh();
  await writeFile(path, "1\n2");
  const reader = await followed(path).open("0", -1);
  expect((await present(reader)).rows).toEqual([1]);
  await appendFile(path, "2\n3\n");
  expect((await present(reader)).rows).toEqual([22, 3]);
  await reader.close();
});

test("a followed file is read to its end when it is rotated, and then the new one, also after a restart", async () => {
  const path = fresh();
  await writeFile(path, "1\n2\n");
  const reader = await followed(path).open("0", -1);
  const first = await present(reader);
  await appendFile(path, "3\nlast");
  await rename(path, `${path}.1`);
  await writeFile(path, "10\n11\n");
  const second = await present(reader);
  expect([...second.rows, ...second.rejected]).toEqual([3, 10, 11, expect.stringContaining("not JSON")]);
  await reader.close();
  const positions = [...first.positions, ...second.positions];
  expect(positions.every((position, i) => i === 0 || position > (positions[i - 1] as number))).toBe(true);
  const again = await followed(path).open("0", second.positions[1] as number);
  expect((await present(again)).rows).toEqual([11]);
  await again.close();
  // The file was replaced while nobody read: no line ends where the cursor says that one was read to.
  await writeFile(path, '"a new file"\n');
  const replaced = await followed(path).open("0", second.positions.at(-1) as number);
  expect((await present(replaced)).rows).toEqual(["a new file"]);
  await replaced.close();
});

test("a followed file that is cut back says so, and is then read from its beginning", async () => {
  const path = fresh();
  await writeFile(path, "1\n2\n3\n");
  const reader = await followed(path).open("0", -1);
  const { through } = await present(reader);
  await truncate(path, 0);
  await expect(reader.read(5)).rejects.toMatchObject({ code: "SOURCE-TRUNCATED", kind: "transient" });
  await reader.close();
  await appendFile(path, "4\n");
  const again = await followed(path).open("0", through);
  expect((await present(again)).rows).toEqual([4]);
  await again.close();
});

test("a followed CSV file may get its header late, and each rotated file has its own", async () => {
  const path = fresh("csv");
  await writeFile(path, "");
  const reader = await csvSource({ path, follow: true, pollMs: 2 }, env).open("0", -1);
  expect((await present(reader)).rows).toEqual([]);
  await appendFile(path, "a,b\n1,2\n");
  expect((await present(reader)).rows).toEqual([{ a: 1, b: 2 }]);
  await rename(path, `${path}.1`);
  await writeFile(path, "c\n3\n");
  expect((await present(reader)).rows).toEqual([{ c: 3 }]);
  await reader.close();
});
