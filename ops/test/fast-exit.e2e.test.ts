import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import { root } from "./millrace.ts";

const dist = (path: string): string => JSON.stringify(pathToFileURL(join(root, "ops", "dist", path)).href);

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "millrace-exit-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Ends in the middle of an LMDB transaction, whose thread waits for a callback of this one. */
async function endWith(how: string): Promise<{ readonly code: number | null; readonly signal: string | null }> {
  const script = `
    import { closeBeforeExit, exitFast, exitOnUncaught } from ${dist("fast-exit.js")};
    import { openLmdbStore } from "@millrace/native";
    exitOnUncaught();
    const store = await openLmdbStore({ dir: ${JSON.stringify(directory)} });
    closeBeforeExit(() => store.close());
    const write = (n) => store.transact((tx) => tx.put("t", Buffer.from(String(n)), Buffer.alloc(1000))).catch(() => {});
    setInterval(() => { for (let i = 0; i < 10; i++) void write(i); }, 1);
    const stall = () => { for (const end = performance.now() + 50; performance.now() < end; ); };
    // Some of these moments lie between the start of a transaction and its callback; in the stall its thread gets there.
    setTimeout(() => { void write(0); setImmediate(() => { stall(); ${how} }); }, 200);
  `;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    cwd: join(root, "ops"),
    stdio: "ignore",
    signal: AbortSignal.timeout(50_000),
    killSignal: "SIGKILL",
  });
  child.on("error", () => undefined);
  const [code, signal] = (await once(child, "exit")) as [number | null, string | null];
  return { code, signal };
}

it("a fast exit has its code while a store writes", async () => {
  expect(await endWith("exitFast(70);")).toEqual({ code: 70, signal: null });
});

it("an uncaught error ends the process with 1 while a store writes", async () => {
  expect(await endWith("throw new Error('uncaught');")).toEqual({ code: 1, signal: null });
});
