import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, type TestContext } from "vitest";
import { lastJson, millrace, root, start } from "./millrace.ts";

const EXAMPLES = join(root, "ops", "examples");
const graphOf = (name: string): string => join(EXAMPLES, name, "graph.yaml");

let data: string;
beforeAll(() => {
  data = mkdtempSync(join(tmpdir(), "millrace-examples-"));
});
afterAll(() => rmSync(data, { recursive: true, force: true }));

/** How each example shows that it works. Some have a file of their own: `flights.e2e.test.ts`, `payload-chain.e2e.test.ts`. */
const CHECKS: Readonly<Record<string, (context: TestContext) => Promise<void>>> = {
  flights: () => Promise.resolve(),
  "payload-chain": () => Promise.resolve(),
  "host-telemetry": async () => {
    const running = start(["run", graphOf("host-telemetry"), "--port", "0", "--data", join(data, "host-telemetry")]);
    const url = / runs at (\S+)/.exec(await running.line(/ runs at /))?.[1] ?? "";
    const rows = async (): Promise<readonly unknown[]> => {
      const asked = await fetch(`${url}/api/v1/projections/host-load`);
      return ((await asked.json()) as { readonly rows: readonly unknown[] }).rows;
    };
    try {
      // A window of ten seconds closes with the first sample after it.
      await expect.poll(async () => (await rows()).length, { interval: 500 }).toBeGreaterThan(0);
      expect((await rows())[0]).toMatchObject({ samples: expect.any(Number), cpu_mean: expect.any(Number) });
    } finally {
      running.child.kill("SIGTERM");
    }
    expect((await running.finished).code).toBe(130);
  },
  polyglot: async (context) => {
    for (const need of ["PYTHON", "JAVA"]) context.skip(process.env[`MILLRACE_SKIP_${need}`] !== undefined, need);
    const directory = join(data, "polyglot");
    const { code, stdout, stderr } = await millrace([
      ...["run", graphOf("polyglot"), "--until-done", "--json", "--data", directory],
    ]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(lastJson(stdout)).toMatchObject({ messagesIn: 60, deadLettered: 0 });
    const written = readFileSync(join(directory, "out", "graded.ndjson"), "utf8")
      .trimEnd()
      .split("\n");
    const readings = readFileSync(join(EXAMPLES, "polyglot", "readings.ndjson"), "utf8")
      .trimEnd()
      .split("\n");
    expect(written.map((line): unknown => JSON.parse(line))).toEqual(graded(readings.map((line) => JSON.parse(line))));
  },
};

interface Reading {
  readonly sensor: string;
  readonly value: number | null;
  readonly unit: string;
}

/** What the polyglot example gives, in one language. */
function graded(readings: readonly Reading[]): unknown[] {
  const means = new Map<string, number>();
  const rounded = (n: number): number => Math.round(n * 1000) / 1000;
  return readings.flatMap(({ sensor, value, unit }) => {
    if (value === null) return [];
    const celsius = unit === "F" ? (value - 32) / 1.8 : value;
    const before = means.get(sensor) ?? celsius;
    const mean = before + 0.25 * (celsius - before);
    means.set(sensor, mean);
    const deviation = rounded(celsius - before);
    const grade = Math.abs(deviation) >= 5 ? "alarm" : Math.abs(deviation) >= 1 ? "watch" : "normal";
    return [{ sensor, celsius, mean: rounded(mean), deviation, grade }];
  });
}

it("has a check for every example", () => {
  expect(readdirSync(EXAMPLES).sort()).toEqual(Object.keys(CHECKS).sort());
});

it.for(readdirSync(EXAMPLES))("%s is a valid graph", async (name, context) => {
  // Its part in Rust is a file of the graph, which is built.
  context.skip(name === "payload-chain" && process.env.MILLRACE_SKIP_RUST !== undefined, "RUST");
  const { code, stdout } = await millrace(["validate", graphOf(name), "--json"]);
  expect(lastJson(stdout)).toMatchObject({ valid: true, problems: [] });
  expect(code).toBe(0);
});

it.for(Object.entries(CHECKS))("%s runs", { timeout: 90_000 }, async ([, check], context) => check(context));

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
    await expect.poll(read).toBeGreaterThan(0);
    const ready = await fetch(`${url}/readyz`);
    expect([attempt, ready.status, (await ready.json()) as unknown]).toMatchObject([attempt, 200, { status: "ok" }]);
    expect((await fetch(`${url}/metrics`)).status).toBe(200);
    running.child.kill("SIGTERM");
    expect((await running.finished).code).toBe(0);
  }
}, 120_000);
