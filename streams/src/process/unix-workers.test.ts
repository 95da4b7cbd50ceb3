import { virtualEnv } from "@millrace/engine/testing";
import { expect, it, vi } from "vitest";
import { unixWorkers } from "./unix-workers.ts";

const MIB = 1024 * 1024;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it("reads a part of what a program prints without an end, and the next after a while", async () => {
  const env = virtualEnv("output");
  let ended = (): void => undefined;
  const end = new Promise<void>((resolve) => {
    ended = resolve;
  });
  const endless = { command: "yes", args: [], env: { PATH: process.env.PATH ?? "" } };
  const worker = await unixWorkers(env).launch(endless, { data: () => undefined, ended: () => ended() });
  try {
    for (const part of [1, 2, 3]) {
      await vi.waitUntil(() => worker.output.bytes >= part * MIB, 45_000);
      const { bytes } = worker.output;
      for (let i = 0; i < 50; i++) await turn();
      expect(worker.output.bytes).toBe(bytes);
      await env.advance(100);
    }
  } finally {
    worker.signal("SIGKILL");
    await end;
  }
  expect(worker.output.tail).toContain("y\ny\n");
});
