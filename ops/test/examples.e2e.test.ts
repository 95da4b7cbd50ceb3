import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { lastJson, millrace, root, start } from "./millrace.ts";

const EXAMPLES = join(root, "ops", "examples");
const graphOf = (name: string): string => join(EXAMPLES, name, "graph.yaml");

let data: string;
beforeAll(() => {
  data = mkdtempSync(join(tmpdir(), "millrace-examples-"));
});
afterAll(() => rmSync(data, { recursive: true, force: true }));

/** How each example shows that it works. `flights` has a file of its own: `flights.e2e.test.ts`. */
const CHECKS: Readonly<Record<string, () => Promise<void>>> = {
  flights: () => Promise.resolve(),
  "host-telemetry": async () => {
    const running = start(["run", graphOf("host-telemetry"), "--port", "0", "--data", join(data, "host-telemetry")]);
    const url = / runs at (\S+)/.exec(await running.line(/ runs at /))?.[1] ?? "";
    const rows = async (): Promise<readonly unknown[]> => {
      const asked = await fetch(`${url}/api/v1/projections/host-load`);
      return ((await asked.json()) as { readonly rows: readonly unknown[] }).rows;
    };
    try {
      // A window of ten seconds closes with the first sample after it.
      await expect.poll(async () => (await rows()).length, { timeout: 40_000, interval: 500 }).toBeGreaterThan(0);
      expect((await rows())[0]).toMatchObject({ samples: expect.any(Number), cpu_mean: expect.any(Number) });
    } finally {
      running.child.kill("SIGTERM");
    }
    expect((await running.finished).code).toBe(130);
  },
};

it("has a check for every example", () => {
  expect(readdirSync(EXAMPLES).sort()).toEqual(Object.keys(CHECKS).sort());
});

it.each(readdirSync(EXAMPLES))("%s is a valid graph", async (name) => {
  const { code, stdout } = await millrace(["validate", graphOf(name), "--json"]);
  expect(lastJson(stdout)).toMatchObject({ valid: true, problems: [] });
  expect(code).toBe(0);
});

it.each(Object.entries(CHECKS))("%s runs", async (_name, check) => check(), 90_000);

it("serves the demo without graph files, and goes on where it was", async () => {
  for (const attempt of [1, 2]) {
    const running = start(["serve", "--port", "0", "--json", "--data", join(data, "demo")]);
    const {
      url,
      data: directory,
      graphs,
    } = JSON.parse(await running.line(/^\{/)) as { url: string; data: string; graphs: string[] };
    expect(graphs).toEqual(["late-flights", "host-telemetry"]);
    expect(directory.endsWith("demo")).toBe(true);
    const read = async (): Promise<number> => {
      const status = (await (await fetch(`${url}/api/v1/graphs/late-flights`)).json()) as {
        readonly messagesIn: number;
      };
      return status.messagesIn;
    };
    await expect.poll(read, { timeout: 20_000 }).toBeGreaterThan(0);
    const ready = await fetch(`${url}/readyz`);
    expect([attempt, ready.status, (await ready.json()) as unknown]).toMatchObject([attempt, 200, { status: "ok" }]);
    expect((await fetch(`${url}/metrics`)).status).toBe(200);
    running.child.kill("SIGTERM");
    expect((await running.finished).code).toBe(0);
  }
}, 120_000);
