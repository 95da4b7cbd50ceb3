import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import type { Deployment } from "./graph-stream.ts";
import {
  type FilesOfGraph,
  refuseEmptiedFiles,
  refuseFilesOfOthers,
  refuseOccupiedFiles,
  refuseSharedFiles,
} from "./sink-files.ts";

const out = mkdtempSync(join(tmpdir(), "millrace-sink-files-"));
afterAll(() => rmSync(out, { recursive: true, force: true }));
writeFileSync(join(out, "rows.ndjson"), "{}\n");

const file = (node: string, name = "rows.ndjson") => ({
  node,
  path: join(out, name),
  place: { file: "g.yaml", line: 4 },
  replace: false,
});
const graph = (name: string, files: Partial<FilesOfGraph>): FilesOfGraph => ({
  model: { name },
  written: [],
  read: [],
  ...files,
});

test("a sink is not given the file that its graph reads, nor that of another sink", () => {
  const reads = graph("a", { read: [file("in")], written: [file("out")] });
  expect(() => refuseSharedFiles([reads])).toThrow("sink out would remove what in reads");
  const writes = graph("a", { written: [file("out")] });
  expect(() => refuseSharedFiles([writes, graph("b", { written: [file("board")] })])).toThrow(
    `sink out of graph a writes ${file("").path} already`,
  );
  // What one graph writes another may follow.
  refuseSharedFiles([writes, graph("b", { read: [file("in")], written: [file("board", "other.csv")] })]);
});

test("a sink is not given the file that a graph of the same data directory has written before", () => {
  const definition = `name: a
nodes:
  in:  { kind: source, from: "http:/in" }
  out: { kind: sink, input: in, to: "file:./rows.ndjson" }
`;
  const known = new Map([["a", { definition, revision: 1 } as Deployment]]);
  const check = (...files: Parameters<typeof file>): void =>
    refuseFilesOfOthers([graph("b", { written: [file(...files)] })], known, out);
  expect(() => check("board")).toThrow(`graph a of this data directory has written ${file("").path}`);
  check("board", "not-there-yet.ndjson");
  refuseFilesOfOthers([graph("a", { written: [file("out")] })], known, out);
});

test("a sink that begins anew does not empty what the revision before has written", () => {
  const before = graph("a", { written: [file("out")] });
  const next = (node: string) => graph("a", { written: [file(node)] });
  refuseEmptiedFiles(before, next("out"), () => true);
  expect(() => refuseEmptiedFiles(before, next("out"), () => false)).toThrow("anew, because its definition changed");
  expect(() => refuseEmptiedFiles(before, next("late"), () => false)).toThrow(
    "anew, because sink out of the revision before has written it",
  );
});

test("a sink that begins is not given a file that holds anything, unless it says that it replaces it", async () => {
  writeFileSync(join(out, "empty.ndjson"), "");
  const check = (written: FilesOfGraph["written"], begins = true): Promise<void> =>
    refuseOccupiedFiles(graph("a", { written }), () => begins);
  await expect(check([file("empty", "empty.ndjson"), file("out")])).rejects.toMatchObject({
    code: "SINK-OCCUPIED",
    message: expect.stringContaining(`sink out would begin in ${file("").path}`),
    place: { file: "g.yaml", line: 4 },
  });
  await check([file("out")], false);
  await check([{ ...file("out"), replace: true }]);
  await check([file("empty", "empty.ndjson"), file("none", "none.ndjson"), file("odd", "rows.ndjson/below.ndjson")]);
});
