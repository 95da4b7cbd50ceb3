/** Payload files are ordinary LMDB files: other languages read them while their owner goes on. */
import { type ChildProcessWithoutNullStreams, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PayloadToken } from "@millrace/engine";
import { type MappedPayloadStore, openMappedPayloadStore } from "@millrace/native";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { lmdbJavaJars, lmdbJavaLacks } from "../../bin/lmdbjava.mjs";

const skipped = process.env.MILLRACE_SKIP_RUST ?? process.env.MILLRACE_SKIP_LMDB;
const noJava = spawnSync("java", ["-version"]).status !== 0;
const noLmdbJava = process.env.MILLRACE_SKIP_LMDBJAVA ?? lmdbJavaLacks();
/** lmdbjava sets the addresses of buffers itself. */
const OPENED = ["java.base/java.nio=ALL-UNNAMED", "java.base/sun.nio.ch=ALL-UNNAMED"];
const ROUNDS = 300;
/** How often each reader has read all records when the puts end: they go on for a reader that others keep from the processor. */
const READS = 40;
const KEPT = 10;
const TEST_MS = 180_000;

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
    const boot = join(dir, readdirSync(dir).find((name) => name.endsWith("-v2")) ?? "");
    return join(boot, readdirSync(boot).find((name) => name.endsWith(suffix)) ?? "");
  };
  const put = async (i: number): Promise<PayloadToken> =>
    (await store.put(Buffer.alloc(1 + ((i * 977) % 60_000), i), "raw")) as PayloadToken;

  /** What a reader says from now on, and all of it at its end. */
  function listenTo({ stdout, stderr }: ChildProcessWithoutNullStreams): { said: string } {
    const heard = { said: "" };
    for (const stream of [stdout, stderr])
      stream.setEncoding("utf8").on("data", (chunk: string) => {
        heard.said += chunk;
      });
    return heard;
  }

  /** Puts and lets go while all readers read, each started when the one before reads; returns what each said in the end. */
  async function readBy(...starts: readonly (() => ChildProcessWithoutNullStreams)[]): Promise<readonly string[]> {
    const readers: ChildProcessWithoutNullStreams[] = [];
    const heard: { readonly said: string }[] = [];
    for (const start of starts) {
      const reader = start();
      readers.push(reader);
      heard.push(listenTo(reader));
      await once(reader.stdout, "data");
    }
    let hasEnded = false;
    const exited = readers.map(async (reader) => {
      await once(reader, "close");
      hasEnded = true;
    });
    const tokens: PayloadToken[] = [];
    for (let i = 0; i < ROUNDS || (!hasEnded && heard.some(({ said }) => readsIn(said) < READS)); i++) {
      tokens.push(await put(i));
      if (tokens.length > KEPT) await store.discard(tokens.shift() as PayloadToken);
      await new Promise((resolve) => setImmediate(resolve));
    }
    // What was freed last waits for a transaction.
    store.sweep();
    for (const reader of readers) reader.stdin.end("end");
    await Promise.all(exited);
    return heard.map(({ said }) => said);
  }

  /** Each is a dot behind the version, which has a line of its own. */
  const readsIn = (said: string): number => said.slice(said.indexOf("\n")).split(".").length - 1;

  const figures = (said: string): Readonly<Record<string, number>> =>
    Object.fromEntries([...said.matchAll(/(\w+) (\d+)(?!\.)/g)].map(([, name, count]) => [name, Number(count)]));

  function byLibLmdb(): ChildProcessWithoutNullStreams {
    const program = join(dir, "lmdb-reader");
    execFileSync("cc", ["-O1", "-o", program, join(import.meta.dirname, "lmdb-reader.c"), "-llmdb"]);
    return spawn(program, [file(".mdb")]);
  }

  const byPyLmdb = (): ChildProcessWithoutNullStreams =>
    spawn("/usr/bin/python3", [join(import.meta.dirname, "lmdb-reader.py"), file(".mdb"), file(".ctl")]);

  function byLmdbJava(): ChildProcessWithoutNullStreams {
    const flags = ["-XX:TieredStopAtLevel=1", ...OPENED.map((packages) => `--add-opens=${packages}`)];
    const program = join(import.meta.dirname, "LmdbReader.java");
    return spawn("java", [...flags, "-cp", `${lmdbJavaJars}/*`, program, file(".mdb")]);
  }

  it("are read by Debian's liblmdb at the same time", async () => {
    await put(1);
    const [said = ""] = await readBy(byLibLmdb);
    expect(said).toContain("LMDB 0.9.");
    expect(figures(said)).toMatchObject({ wrong: 0, last: KEPT + 1 });
    expect(figures(said).records).toBeGreaterThanOrEqual(READS);
  });

  it("are read by py-lmdb at the same time, and past LMDB by their entry table", async () => {
    await put(1);
    const [said = ""] = await readBy(byPyLmdb);
    expect(said).toMatch(/^0\.9\./);
    expect(figures(said)).toMatchObject({ wrong: 0, last: KEPT + 1, mapped: KEPT + 1 });
    expect(figures(said).records).toBeGreaterThanOrEqual(READS);
  });

  const skip = noLmdbJava ? ` (skipped: ${noLmdbJava})` : "";
  it.skipIf(noLmdbJava)(
    `are read by lmdbjava, py-lmdb and liblmdb, all at the same time${skip}`,
    async () => {
      await put(1);
      const all = await readBy(byLmdbJava, byPyLmdb, byLibLmdb);
      expect(all.map((said) => /0\.9\.\d+/.test(said))).toEqual([true, true, true]);
      for (const said of all) {
        expect(figures(said)).toMatchObject({ wrong: 0, last: KEPT + 1 });
        expect(figures(said).records).toBeGreaterThanOrEqual(READS);
      }
    },
    TEST_MS,
  );

  it.skipIf(noJava)(`are mapped by Java${noJava ? " (skipped: no java on PATH)" : ""}`, async () => {
    for (let i = 0; i < KEPT; i++) await put(i);
    const program = join(import.meta.dirname, "PayloadReader.java");
    const said = execFileSync("java", [program, file(".mdb"), file(".ctl")], { encoding: "utf8" });
    expect(figures(said)).toEqual({ mapped: KEPT, wrong: 0 });
  });
});
