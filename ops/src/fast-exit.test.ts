import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { closeBeforeExit, exitFast } from "./fast-exit.ts";

const ends: string[] = [];
beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(process, "kill").mockImplementation((_, signal) => {
    ends.push(String(signal));
    return true;
  });
  vi.spyOn(process, "exit").mockImplementation((code) => ends.push(String(code)) as never);
});
afterEach(() => {
  ends.splice(0);
  vi.restoreAllMocks();
  vi.useRealTimers();
  process.exitCode = undefined;
});

it("a fast exit waits for what is closed, and kills the process once that has had eight seconds", async () => {
  const release = closeBeforeExit(() => new Promise(() => undefined));
  exitFast(70);
  await vi.advanceTimersByTimeAsync(7999);
  expect(ends).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(ends).toEqual(["SIGKILL"]);
  release();
});

it("a fast exit has its code where what is closed takes long", async () => {
  const release = closeBeforeExit(() => new Promise((resolve) => setTimeout(resolve, 7900)));
  exitFast(70);
  await vi.advanceTimersByTimeAsync(7900);
  expect(ends).toEqual(["70"]);
  release();
});
