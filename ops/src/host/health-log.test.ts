import { virtualEnv } from "@millrace/engine/testing";
import type { HealthCheck } from "@millrace/gateway";
import { expect, it } from "vitest";
import { logHealth } from "./health-log.ts";

it("tells once when a check begins to fail, again when its reason changes, and when it holds again", async () => {
  const env = virtualEnv("health log");
  const lines: string[] = [];
  let log: HealthCheck = { name: "log", ok: true, detail: "writable" };
  const end = logHealth(
    () => ({ checks: [log] }),
    env,
    (line) => lines.push(line.replace(/^\S+ /, "")),
  );
  const seen = async (check: HealthCheck): Promise<readonly string[]> => {
    log = check;
    await env.advance(2500);
    return lines.splice(0);
  };
  const failing = (detail: string): HealthCheck => ({ name: "log", ok: false, detail });
  expect(await seen(log)).toEqual([]);
  expect(await seen(failing("full, 12 bytes"))).toEqual(["not ready: log: full, 12 bytes"]);
  expect(await seen(failing("full, 11 bytes"))).toEqual([]);
  expect(await seen(failing("stopped"))).toEqual(["not ready: log: stopped"]);
  expect(await seen({ name: "log", ok: true, detail: "writable" })).toEqual(["ready again: log: writable"]);
  end();
  expect(await seen(failing("stopped"))).toEqual([]);
});
