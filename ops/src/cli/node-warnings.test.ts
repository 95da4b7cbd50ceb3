import { once } from "node:events";
import { afterEach, expect, it, vi } from "vitest";
import { hideKnownWarnings } from "./node-warnings.ts";

const before = process.listeners("warning");

afterEach(() => {
  process.removeAllListeners("warning");
  for (const show of before) process.on("warning", show);
});

it("hides a negative timer of kafkajs, and nothing else", async () => {
  const show = vi.fn();
  process.removeAllListeners("warning");
  process.on("warning", show);
  hideKnownWarnings();
  const warned = (name: string, stack: string): Error => Object.assign(new Error("-1 is negative"), { name, stack });
  const ours = warned("TimeoutNegativeWarning", "at run (/app/streams/dist/socket.js:1:1)");
  const other = warned("MaxListenersExceededWarning", "at Socket (/app/node_modules/kafkajs/src/socket.js:1:1)");
  for (const warning of [
    warned(
      "TimeoutNegativeWarning",
      "at RequestQueue (/app/node_modules/kafkajs/src/network/requestQueue/index.js:318:1)",
    ),
    ours,
    other,
  ]) {
    process.emitWarning(warning);
    await once(process, "warning");
  }
  expect(show.mock.calls.map(([warning]) => warning)).toEqual([ours, other]);
});
