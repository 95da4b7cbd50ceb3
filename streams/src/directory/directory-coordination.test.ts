import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Coordination, systemEnv } from "@millrace/engine";
import { coordinationContract, virtualEnv } from "@millrace/engine/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openDirectoryCoordination } from "./directory-coordination.ts";
import { EpochFiles } from "./epoch-files.ts";

const freshDir = (): string => mkdtempSync(join(tmpdir(), "millrace-coordination-"));

coordinationContract("coordination over a directory", async () => {
  const dir = freshDir();
  const env = virtualEnv("coordination");
  const opened: Coordination[] = [];
  return {
    ttlMs: 1000,
    seenMs: 100,
    async open() {
      const host = openDirectoryCoordination({
        dir,
        env: env.process(`host-${opened.length}`).env,
        ttlMs: 1000,
        pollMs: 50,
      });
      opened.push(host);
      return host;
    },
    pass: (ms) => env.advance(ms),
    async destroy() {
      for (const host of opened) await host.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
});

describe("epoch files", () => {
  let dir: string;
  let drawn = 0;
  const open = (): EpochFiles => new EpochFiles(dir, () => `draft-${drawn++}`);
  beforeEach(() => {
    dir = freshDir();
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));
  const bytes = (text: string): Uint8Array => Buffer.from(text);

  it("let a writer that was stopped for long take itself back", () => {
    const files = open();
    for (let epoch = 0; epoch < 200; epoch++) expect(files.write("k", epoch, bytes(String(epoch)))).toBe(true);
    expect(() => files.write("k", 1, bytes("late"))).toThrow(/200/);
    expect(files.write("k", 198, bytes("late"))).toBe(false);
    expect(files.newest("k")).toEqual({ epoch: 200, value: new Uint8Array(bytes("199")) });
    expect(readdirSync(join(dir, "keys", "kk"))).toHaveLength(64);
  });

  it("know no failure when others go on from what was just written", () => {
    const [a, b] = [open(), open()];
    for (let epoch = 0; epoch < 20; epoch++) expect((epoch % 2 === 0 ? a : b).write("k", epoch, bytes("x"))).toBe(true);
    expect(a.write("k", 18, bytes("y"))).toBe(false);
  });

  it("leave no drafts", () => {
    const files = open();
    files.write("k", 0, bytes("1"));
    files.write("k", 0, bytes("2"));
    expect(readdirSync(join(dir, "drafts"))).toEqual([]);
  });

  it("say by code that the directory cannot be used", () => {
    writeFileSync(join(dir, "file"), "");
    expect(() => openDirectoryCoordination({ dir: join(dir, "file"), env: systemEnv() })).toThrow(
      expect.objectContaining({ code: "COORDINATION-FAILED" }),
    );
  });
});

const built = join(import.meta.dirname, "../../dist/directory/mod.js");
const engine = join(import.meta.dirname, "../../../engine/dist/mod.js");

describe.skipIf(!existsSync(built))("coordination among processes", () => {
  it("counts right when several increment at once", async () => {
    const dir = freshDir();
    const script = `
      import { openDirectoryCoordination } from ${JSON.stringify(built)};
      import { systemEnv } from ${JSON.stringify(engine)};
      const host = openDirectoryCoordination({ dir: ${JSON.stringify(dir)}, env: systemEnv() });
      for (let done = 0; done < 100; ) {
        const now = await host.get("count");
        const next = Buffer.from(String(Number(Buffer.from(now?.value ?? [48]).toString()) + 1));
        if ((await host.put("count", next, now?.epoch ?? "none")).ok) done++;
      }
      await host.close();`;
    const run = promisify(execFile);
    await Promise.all([1, 2, 3].map(() => run(process.execPath, ["--input-type=module", "-e", script])));
    const host = openDirectoryCoordination({ dir, env: systemEnv() });
    expect(Buffer.from((await host.get("count"))?.value ?? []).toString()).toBe("300");
    await host.close();
    rmSync(dir, { recursive: true, force: true });
  });
});
