import type { HealthCheck } from "@millrace/gateway";
import { expect, it } from "vitest";
import { healthNews } from "./health-log.ts";

it("tells once when a check begins to fail, again when its reason changes, and when it holds again", () => {
  let log: HealthCheck = { name: "log", ok: true, detail: "writable" };
  const look = healthNews(() => ({ checks: [log] }));
  const seen = (check: HealthCheck): readonly string[] => {
    log = check;
    return [look(), look()].flat();
  };
  const failing = (detail: string): HealthCheck => ({ name: "log", ok: false, detail });
  expect(seen(log)).toEqual([]);
  expect(seen(failing("full, 12 bytes"))).toEqual(["not ready: log: full, 12 bytes"]);
  expect(seen(failing("full, 11 bytes"))).toEqual([]);
  expect(seen(failing("stopped"))).toEqual(["not ready: log: stopped"]);
  expect(seen({ name: "log", ok: true, detail: "writable" })).toEqual(["ready again: log: writable"]);
});
