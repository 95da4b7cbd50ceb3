/** Disks that are full, or fail. */
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { millrace } from "../millrace.ts";
import { expectBalance } from "./balance.ts";
import { noCompiler, preload } from "./disk-faults.ts";
import { limitMs } from "./form.ts";
import { eventually, GraphFolder, type Server } from "./graph-folder.ts";

const noMount = process.env.MILLRACE_SKIP_LOOP;

const folders: GraphFolder[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) folder.remove();
});

function folderOf(files: ConstructorParameters<typeof GraphFolder>[0], data?: string): GraphFolder {
  const folder = new GraphFolder(files, data);
  folders.push(folder);
  return folder;
}

/** Rows that fill a log: their text does not repeat. */
function rowsOf(count: number, textBytes: number): string {
  let state = 1;
  const text = (): string => {
    let made = "";
    while (made.length < textBytes) {
      state = Math.imul(state, 1664525) + 1013904223;
      made += (state >>> 0).toString(36);
    }
    return made;
  };
  return Array.from({ length: count }, (_, id) => `{"id":${id},"text":"${text()}"}`).join("\n");
}

describe.skipIf(noMount)(`a full disk${noMount ? ` (skipped: ${noMount})` : ""}`, () => {
  const DISK_MIB = 460;
  const BALLAST_MIB = 340;
  /** Large, since what fills the disk is their bytes; but two of them fit a page of a store. */
  const ROWS = 44_000;
  const TEXT_BYTES = 1800;

  it(
    "refuses appends with LOG-FULL in status, health and command line, is read from, and goes on when it has space",
    async () => {
      const rows = rowsOf(ROWS, TEXT_BYTES);
      const folder = folderOf(
        {
          "in.ndjson": rows,
          "graph.yaml": `name: fill
nodes:
  in:    { kind: source, from: "file:./in.ndjson" }
  board: { kind: sink, input: in, to: "projection:rows", key: [id] }
`,
        },
        "disk/data",
      );
      const disk = join(folder.path, "disk");
      const ballast = join(disk, "ballast");
      mkdirSync(disk);
      execFileSync("mount", ["-t", "tmpfs", "-o", `size=${DISK_MIB}m`, "tmpfs", disk]);
      let server: Server | undefined;
      try {
        execFileSync("fallocate", ["-l", `${BALLAST_MIB}m`, ballast]);
        server = await folder.serve();
        const { get, url } = { get: server.get.bind(server), url: server.url };
        const board = async () => (await server?.status("fill"))?.nodes.find(({ node }) => node === "board");
        await eventually(async () => expect((await board())?.lastError?.code).toBe("LOG-FULL"));
        const log = (await server.health()).checks.find(({ name }) => name === "log");
        expect(log).toMatchObject({ ok: false });
        expect(log?.detail).toMatch(/LOG-FULL/);
        expect((await millrace(["graph", "show", "fill", "--url", url])).stdout).toContain("board: LOG-FULL");
        const { rows: read } = await get<{ rows: readonly unknown[] }>("/api/v1/projections/rows?limit=10");
        expect(read).toHaveLength(10);
        expect((await get<{ events: readonly unknown[] }>("/api/v1/events?limit=1")).events).toHaveLength(1);

        rmSync(ballast);
        await server.reaches("fill", "finished");
        await eventually(async () => expect((await server?.health())?.status).toBe("ok"));
        const rowsOut = async (): Promise<number> => {
          const { projections } = await get<{ projections: { name: string; rows: number }[] }>("/api/v1/projections");
          return projections.find(({ name }) => name === "rows")?.rows ?? 0;
        };
        await eventually(async () => expect(await rowsOut()).toBeGreaterThanOrEqual(ROWS));
        expectBalance({ rowsIn: ROWS, rowsOut: await rowsOut(), deadLetters: 0 });
      } finally {
        await server?.stop();
        execFileSync("umount", [disk]);
      }
    },
    limitMs(120_000),
  );
});

const GRAPH = `name: copy
nodes:
  in:    { kind: source, from: "file:./in.ndjson", batch: 64 }
  file:  { kind: sink, input: in, to: "file:out.ndjson" }
  board: { kind: sink, input: in, to: "projection:rows", key: [id] }
`;
const COUNT = 8000;

function copying(): { readonly folder: GraphFolder; readonly rows: readonly string[] } {
  const text = rowsOf(COUNT, 20);
  return { folder: folderOf({ "in.ndjson": text, "graph.yaml": GRAPH }), rows: text.split("\n") };
}

async function expectCopied(folder: GraphFolder, rows: readonly string[]): Promise<void> {
  expect(folder.lines("out.ndjson")).toEqual(rows);
  expectBalance({
    rowsIn: rows.length,
    rowsOut: folder.lines("out.ndjson").length,
    deadLetters: (await folder.deadLetters()).length,
  });
}

describe.skipIf(noCompiler)(`a failing disk${noCompiler ? ` (skipped: ${noCompiler})` : ""}`, () => {
  it.each([1, 9])(
    "at block write %i of the log ends the process with 70 and LOG-FSYNC; the next one has the right result",
    async (write) => {
      const { folder, rows } = copying();
      const failing = await folder.run({ ...preload(folder.path), BLOCK_WRITE_FAILS_AT: String(write) });
      expect(failing.stderr).toContain("LOG-FSYNC");
      expect(failing).toMatchObject({ code: 70, signal: null });
      await folder.finish();
      await expectCopied(folder, rows);
    },
    limitMs(60_000),
  );

  it(
    "at the first sync ends the process before anything has begun; the next one has the right result",
    async () => {
      const { folder, rows } = copying();
      const { code, stderr } = await folder.run({ ...preload(folder.path), SEGMENT_SYNC_FAILS: "1" });
      expect(code).toBe(1);
      expect(stderr).toMatch(/HOST-DATA .*EIO/);
      await folder.finish();
      await expectCopied(folder, rows);
    },
    limitMs(60_000),
  );

  it.each([1, 5])(
    "at sync %i of an index or a projection costs nothing but doing it again",
    async (sync) => {
      const { folder, rows } = copying();
      const { code, stderr } = await folder.run({ ...preload(folder.path), STORE_SYNC_FAILS_AT: String(sync) });
      expect(code).toBe(0);
      expect(stderr).toContain("Input/output error");
      await expectCopied(folder, rows);
      await folder.finish();
      await expectCopied(folder, rows);
    },
    limitMs(60_000),
  );
});
