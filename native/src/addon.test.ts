import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { addonState, loadAddon } from "./addon.ts";

const skipped = process.env.MILLRACE_SKIP_RUST;
const GLIBC_MAX = [2, 28] as const;

describe.skipIf(skipped)(`the native addon${skipped ? ` (skipped: ${skipped})` : ""}`, () => {
  it("is in use where it was built", () => {
    expect(addonState()).toEqual({ inUse: true });
    expect(loadAddon()).toBeDefined();
  });

  it("is not in use when it is switched off, and says so", async () => {
    vi.stubEnv("MILLRACE_NATIVE", "off");
    vi.resetModules();
    const fresh = await import("./addon.ts");
    expect(fresh.addonState()).toEqual({ inUse: false, reason: "MILLRACE_NATIVE=off" });
    expect(fresh.loadAddon()).toBeUndefined();
    vi.unstubAllEnvs();
  });

  it("loads on every glibc since 2.28", () => {
    const symbols = execFileSync("objdump", ["-T", join(import.meta.dirname, "..", "millrace.node")], {
      encoding: "utf8",
    });
    const versions = [...symbols.matchAll(/GLIBC_(\d+)\.(\d+)/g)].map(([, major, minor]) => [
      Number(major),
      Number(minor),
    ]);
    expect(versions.length).toBeGreaterThan(20);
    const newer = versions.filter(([major = 0, minor = 0]) => major > GLIBC_MAX[0] || minor > GLIBC_MAX[1]);
    expect(newer).toEqual([]);
  });
});
