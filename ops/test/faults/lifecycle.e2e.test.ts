/** Processes that are told to end, and data directories that are not theirs to write. */
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { millrace } from "../millrace.ts";
import { expectBalance } from "./balance.ts";
import { limitMs } from "./form.ts";
import { eventually, type Files, GraphFolder } from "./graph-folder.ts";

const noMount = process.env.MILLRACE_SKIP_LOOP;

const folders: GraphFolder[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) folder.remove();
});

function folderOf(files: Files, data?: string): GraphFolder {
  const folder = new GraphFolder(files, data);
  folders.push(folder);
  return folder;
}

const COUNT = 150_000;

function busy(): { readonly folder: GraphFolder; readonly rows: readonly string[] } {
  const rows = Array.from({ length: COUNT }, (_, id) => `{"id":${id},"half":${id / 2}}`);
  const folder = folderOf({
    "in.ndjson": rows.join("\n"),
    "graph.yaml": `name: copy
nodes:
  in:    { kind: source, from: "file:./in.ndjson", batch: 64 }
  file:  { kind: sink, input: in, to: "file:out.ndjson" }
  board: { kind: sink, input: in, to: "projection:rows", key: [id] }
`,
  });
  return { folder, rows };
}

async function expectCopied(folder: GraphFolder, rows: readonly string[]): Promise<void> {
  await folder.finish();
  const out = folder.lines("out.ndjson");
  expect(out.length === rows.length && out.every((line, i) => line === rows[i])).toBe(true);
  expectBalance({ rowsIn: rows.length, rowsOut: out.length, deadLetters: (await folder.deadLetters()).length });
}

/** A graph whose calculator never answers. */
const HANGING: Files = {
  "in.ndjson": '{"n":1}\n',
  "hang.mjs": "export default () => new Promise(() => undefined);\n",
  "graph.yaml": `name: hanging
nodes:
  in:   { kind: source, from: "file:./in.ndjson" }
  calc: { kind: calculator, input: in, use: ./hang.mjs, deadline: 1h }
  out:  { kind: sink, input: calc, to: "file:out.ndjson" }
`,
};

describe("SIGTERM", () => {
  it(
    "under load ends the process in order with 0; the next one goes on where it stopped",
    async () => {
      const { folder, rows } = busy();
      const server = await folder.serve();
      await eventually(async () => expect((await server.status("copy")).messagesOut).toBeGreaterThan(0));
      expect(await server.stop()).toMatchObject({ code: 0, signal: null });
      await expectCopied(folder, rows);
    },
    limitMs(60_000),
  );

  it(
    "sent again ends the process at once, safely",
    async () => {
      const { folder, rows } = busy();
      const server = await folder.serve();
      await eventually(async () => expect((await server.status("copy")).messagesOut).toBeGreaterThan(0));
      // It hears of both at once: one that came later could find a process that has ended in order.
      for (const signal of ["SIGSTOP", "SIGTERM", "SIGINT", "SIGCONT"] as const) server.running.child.kill(signal);
      expect(await server.running.finished).toMatchObject({ code: 130, signal: null });
      await expectCopied(folder, rows);
    },
    limitMs(60_000),
  );

  it(
    "beside a calculator that never answers ends the process in order all the same",
    async () => {
      const folder = folderOf(HANGING);
      const server = await folder.serve();
      await eventually(async () => expect((await server.status("hanging")).messagesIn).toBe(1));
      expect(await server.stop()).toMatchObject({ code: 0, signal: null });
    },
    limitMs(60_000),
  );
});

const SMALL: Files = {
  "in.ndjson": '{"id":1}\n{"id":2}\n',
  "graph.yaml": `name: copy
nodes:
  in:    { kind: source, from: "file:./in.ndjson" }
  file:  { kind: sink, input: in, to: "file:out.ndjson" }
  board: { kind: sink, input: in, to: "projection:rows", key: [id] }
`,
};

describe("a data directory", () => {
  it("that another process has open is refused by all commands, and the other goes on", async () => {
    const folder = folderOf(SMALL);
    const server = await folder.serve();
    await server.reaches("copy", "finished");
    const second = await folder.run();
    expect(second.code).toBe(1);
    expect(second.stderr).toContain("LOG-LOCKED another process has this log open");
    expect((await millrace(["dlq", "ls", "--data", folder.data])).stderr).toMatch(/HOST-RUNNING .*\n.*\n.*--url/);
    expect((await server.health()).status).toBe("ok");
    expect((await server.stop()).code).toBe(0);
    expectBalance({ rowsIn: 2, rowsOut: folder.lines("out.ndjson").length, deadLetters: 0 });
  });

  it.skipIf(noMount)(
    `that is mounted read-only is refused, and whole when it can be written to again${noMount ? ` (skipped: ${noMount})` : ""}`,
    async () => {
      const folder = folderOf(SMALL, "disk/data");
      const disk = join(folder.path, "disk");
      mkdirSync(disk);
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=300m", "tmpfs", disk]);
      try {
        await folder.finish();
        execFileSync("mount", ["-o", "remount,ro", disk]);
        const { code, stderr } = await folder.run();
        expect(code).toBe(1);
        expect(stderr).toMatch(/^(?:\S+ )?(?:HOST-DATA|STORE-FAILED) .*(?:EROFS|[Rr]ead-only)/);
        execFileSync("mount", ["-o", "remount,rw", disk]);
        await folder.finish();
        expectBalance({ rowsIn: 2, rowsOut: folder.lines("out.ndjson").length, deadLetters: 0 });
      } finally {
        execFileSync("umount", [disk]);
      }
    },
    limitMs(60_000),
  );
});

describe("a port in use", () => {
  it("is refused with HOST-PORT before anything is opened", async () => {
    const folder = folderOf(SMALL);
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(0, "127.0.0.1", resolve));
    const { port } = holder.address() as { readonly port: number };
    try {
      const args = ["run", "graph.yaml", "--data", folder.data, "--port", String(port)];
      const { code, stderr } = await millrace(args, { cwd: folder.path });
      expect(code).toBe(1);
      expect(stderr).toContain(`HOST-PORT port ${port} is taken by another process`);
      expect(folder.lines("out.ndjson")).toEqual([]);
    } finally {
      holder.close();
    }
  });
});
