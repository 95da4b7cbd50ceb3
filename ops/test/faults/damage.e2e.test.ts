/** Files of a stopped host that became others. */
import {
  closeSync,
  cpSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lastJson, millrace } from "../millrace.ts";
import { expectBalance } from "./balance.ts";
import { limitMs } from "./form.ts";
import { GraphFolder } from "./graph-folder.ts";

const ROWS = 2000;
/** Payloads of this many random-looking bytes, so that a flipped byte falls on one of them. */
const TEXT = "no two of these are the same ";

describe("a stopped host", () => {
  let folder: GraphFolder;
  let intact: string;

  beforeAll(async () => {
    folder = new GraphFolder({
      "in.ndjson": Array.from({ length: ROWS }, (_, id) => `{"id":${id},"text":"${TEXT}${id * 7919}"}`).join("\n"),
      "graph.yaml": `name: copy
nodes:
  in:    { kind: source, from: "file:./in.ndjson" }
  odd:   { kind: filter, input: in, where: "event.id % 2 == 1" }
  file:  { kind: sink, input: odd, to: "file:out.ndjson" }
  board: { kind: sink, input: odd, to: "projection:rows", key: [id] }
`,
    });
    await folder.finish();
    intact = join(folder.path, "intact");
    cpSync(folder.data, intact, { recursive: true });
  }, limitMs(60_000));

  afterAll(() => folder?.remove());

  function restore(): void {
    rmSync(folder.data, { recursive: true });
    cpSync(intact, folder.data, { recursive: true });
  }

  async function answer(): Promise<unknown> {
    const args = ["projection", "query", "rows", "--limit", "1000", "--json", "--data", folder.data];
    const { code, stdout, stderr } = await millrace(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    return (lastJson(stdout) as { readonly rows: unknown }).rows;
  }

  it.each([
    ["the log's index", ["index"]],
    ["index and projections", ["index", "projections"]],
  ])(
    "whose LMDB files of %s are garbage builds them again and gives the same answers",
    async (_what, stores) => {
      restore();
      const expected = await answer();
      for (const store of stores) {
        const directory = join(folder.data, store);
        for (const name of readdirSync(directory))
          writeFileSync(join(directory, name), Buffer.alloc(200_000, (_what.length % 250) + 1));
      }
      expect(await answer()).toEqual(expected);
      await folder.finish();
      expectBalance({ rowsIn: ROWS, rowsOut: folder.lines("out.ndjson").length, deadLetters: 0, drops: ROWS / 2 });
    },
    limitMs(60_000),
  );

  it.each([
    ["a record", TEXT],
    ["the definition of its graph", "event.id % 2 == 1"],
  ])(
    "whose log has a flipped byte in %s refuses to serve it, with LOG-CORRUPT, file and place",
    async (_what, text) => {
      restore();
      const segment = join(folder.data, "log", "0000000001.seg");
      flip(segment, text);
      // What was made from the log before may still be right; it is made anew from the log that is left.
      rmSync(join(folder.data, "projections"), { recursive: true });
      rmSync(join(folder.data, "index"), { recursive: true });
      for (const args of [
        ["events", "ls", "--forward", "--limit", "1000"],
        ["projection", "query", "rows", "--limit", "1000"],
      ]) {
        const { code, stdout, stderr } = await millrace([...args, "--json", "--data", folder.data]);
        expect(code).toBe(1);
        expect(stderr).toContain("LOG-CORRUPT");
        expect(stderr).toMatch(/0000000001\.seg@\d+ LOG-CORRUPT/);
        expect(stdout).not.toContain('"rows"');
      }
      const { code, stderr } = await folder.run();
      expect(code).toBe(1);
      expect(stderr).toContain("LOG-CORRUPT");
    },
    limitMs(60_000),
  );
});

/** Flips one bit in the middle of the first place where a file has this text. */
function flip(path: string, text: string): void {
  const file = openSync(path, "r+");
  const bytes = Buffer.alloc(statSync(path).size);
  readSync(file, bytes, 0, bytes.length, 0);
  const at = bytes.indexOf(text) + Math.floor(text.length / 2);
  expect(at).toBeGreaterThanOrEqual(text.length / 2);
  writeSync(file, Uint8Array.of((bytes[at] as number) ^ 1), 0, 1, at);
  closeSync(file);
}
