/** Payload files are ordinary LMDB files: other languages read them while their owner goes on. */
import { type ChildProcessWithoutNullStreams, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PayloadToken } from "@millrace/engine";
import { type MappedPayloadStore, openMappedPayloadStore } from "@millrace/native";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const skipped = process.env.MILLRACE_SKIP_RUST ?? process.env.MILLRACE_SKIP_LMDB;
const noJava = spawnSync("java", ["-version"]).status !== 0;
const ROUNDS = 300;
const KEPT = 10;

describe.skipIf(skipped)(`payload files${skipped ? ` (skipped: ${skipped})` : ""}`, () => {
  let dir: string;
  let store: MappedPayloadStore;
  beforeEach(() => {
    const memory = statSync("/dev/shm", { throwIfNoEntry: false }) ? "/dev/shm" : tmpdir();
    dir = mkdtempSync(join(memory, "millrace-readers-"));
    store = openMappedPayloadStore({ dir });
  });
  afterEach(async () => {
    await store.close();
    rmSync(dir, { recursive: true, force: true });
  });

  const file = (suffix: string): string => {
    const boot = join(dir, readdirSync(dir).find((name) => name.endsWith("-v1")) ?? "");
    return join(boot, readdirSync(boot).find((name) => name.endsWith(suffix)) ?? "");
  };
  const put = async (i: number): Promise<PayloadToken> =>
    (await store.put(Buffer.alloc(1 + ((i * 977) % 60_000), i), "raw")) as PayloadToken;

  /** Puts and lets go while the reader reads; returns what it said in the end. */
  async function readBy(reader: ChildProcessWithoutNullStreams): Promise<string> {
    let said = "";
    reader.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      said += chunk;
    });
    reader.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      said += chunk;
    });
    const exited = once(reader, "close");
    await once(reader.stdout, "data");
    const tokens: PayloadToken[] = [];
    for (let i = 0; i < ROUNDS; i++) {
      tokens.push(await put(i));
      if (tokens.length > KEPT) await store.discard(tokens.shift() as PayloadToken);
      await new Promise((resolve) => setImmediate(resolve));
    }
    reader.stdin.end("end");
    await exited;
    return said;
  }

  const figures = (said: string): Readonly<Record<string, number>> =>
    Object.fromEntries([...said.matchAll(/(\w+) (\d+)(?!\.)/g)].map(([, name, count]) => [name, Number(count)]));

  it("are read by Debian's liblmdb at the same time", async () => {
    await put(1);
    const program = join(dir, "lmdb-reader");
    execFileSync("cc", ["-O1", "-o", program, join(import.meta.dirname, "lmdb-reader.c"), "-llmdb"]);
    const said = await readBy(spawn(program, [file(".mdb")]));
    expect(said).toContain("LMDB 0.9.");
    expect(figures(said)).toMatchObject({ wrong: 0, last: KEPT + 1 });
    expect(figures(said).records).toBeGreaterThan(ROUNDS);
  });

  it("are read by py-lmdb at the same time, and past LMDB by their entry table", async () => {
    await put(1);
    const script = join(import.meta.dirname, "lmdb-reader.py");
    const said = await readBy(spawn("/usr/bin/python3", [script, file(".mdb"), file(".ctl")]));
    expect(said).toMatch(/^0\.9\./);
    expect(figures(said)).toMatchObject({ wrong: 0, last: KEPT + 1, mapped: KEPT + 1 });
    expect(figures(said).records).toBeGreaterThan(KEPT);
  });

  it.skipIf(noJava)(`are mapped by Java${noJava ? " (skipped: no java on PATH)" : ""}`, async () => {
    for (let i = 0; i < KEPT; i++) await put(i);
    const program = join(import.meta.dirname, "PayloadReader.java");
    const said = execFileSync("java", [program, file(".mdb"), file(".ctl")], { encoding: "utf8" });
    expect(figures(said)).toEqual({ mapped: KEPT, wrong: 0 });
  });
});
