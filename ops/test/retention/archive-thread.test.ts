/** The archive thread makes what the caller's own thread would have made, and says what went wrong in the same way. */
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemEnv } from "@millrace/engine";
import type { ArchivedRange } from "@millrace/streams/embedded";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type OpenedData, openData } from "../../src/host/open-data.ts";
import { archiveMaking } from "../../src/retention/archive-making.ts";
import { ArchiveThread } from "../../src/retention/archive-thread.ts";
import { ALL } from "./running-host.ts";
import { makeSmallLog } from "./small-log.ts";

// A thread runs built code; `npm test` builds before it tests.
const BUILT = new URL("../../dist/retention/archive-worker.js", import.meta.url);
const env = systemEnv();
const directory = mkdtempSync(join(tmpdir(), "millrace-archive-thread-"));
let copies = 0;

beforeAll(() => makeSmallLog(join(directory, "made"), 900));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function copy(): string {
  const path = join(directory, `copy-${copies++}`);
  cpSync(join(directory, "made"), path, { recursive: true });
  return path;
}

async function opened<T>(path: string, use: (data: OpenedData) => Promise<T>): Promise<T> {
  const onFatal = (error: Error): never => {
    throw error;
  };
  const data = await openData({ path, env, onFatal });
  try {
    return await use(data);
  } finally {
    await data.close();
  }
}

function archive(path: string, entry: URL | undefined): Promise<ArchivedRange> {
  return opened(path, async ({ log, directory: { audit, index } }) => {
    const parquet = true;
    await log.indexed();
    const making = await archiveMaking(audit, log.id, parquet, async () => undefined);
    const archiver =
      entry &&
      ((settings: ConstructorParameters<typeof ArchiveThread>[0]["settings"]) => {
        return new ArchiveThread({ settings, index, audit, parquet, entry });
      });
    return log.retention.archive({ ...making, beforeMs: ALL, archiver });
  });
}

function archivedFiles(path: string): Record<string, Buffer> {
  const folder = join(path, "log", "archive");
  const files = readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))] as const);
  const carried = readdirSync(join(path, "log")).filter((name) => name.startsWith("carry-"));
  return Object.fromEntries([...files, ...carried.map((name) => [name, readFileSync(join(path, "log", name))])]);
}

describe.runIf(existsSync(BUILT))("the archive thread", () => {
  it("makes the same files, byte for byte", async () => {
    const [here, there] = [copy(), copy()];
    const expected = await archive(here, undefined);
    expect(await archive(there, BUILT)).toEqual(expected);
    expect(expected.segments.length).toBeGreaterThan(1);
    const files = archivedFiles(there);
    expect(Object.keys(files).filter((name) => name.endsWith(".parquet"))).toHaveLength(expected.segments.length);
    expect(files).toEqual(archivedFiles(here));
  });

  it("refuses a damaged segment with code and place, and leaves it", async () => {
    const path = copy();
    const segment = join(path, "log", "0000000001.seg");
    const bytes = readFileSync(segment);
    bytes[4096 + 700] = (bytes[4096 + 700] as number) ^ 1;
    writeFileSync(segment, bytes);
    await expect(archive(path, BUILT)).rejects.toMatchObject({ code: "LOG-CORRUPT", place: { file: segment } });
    expect(existsSync(segment)).toBe(true);
  });

  it("that cannot start is an error, and leaves the log as it was", async () => {
    const path = copy();
    await expect(archive(path, new URL("./nothing.js", BUILT))).rejects.toMatchObject({ code: "HOST-DATA" });
    expect(existsSync(join(path, "log", "0000000001.seg"))).toBe(true);
  });
});
