/** The examples of `ops/docs/eventstore-clients.md`, run as they stand against a served graph. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EventStoreDBClient, jsonEvent } from "@eventstore/db-client";
import { afterAll, beforeAll, expect, it } from "vitest";
import { pythonClients } from "../../bin/python-clients.mjs";
import { freePort } from "../../services/free-port.ts";
import { millrace, type Running, root, start } from "../millrace.ts";

const page = readFileSync(join(root, "ops", "docs", "eventstore-clients.md"), "utf8");
const block = (language: string): string => new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, "s").exec(page)?.[1] ?? "";

let directory: string;
let running: Running;
let connectionString: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "millrace-eventstore-"));
  writeFileSync(join(directory, "orders.ndjson"), '{"id":1,"amount":5}\n{"id":2,"amount":50}\n');
  writeFileSync(join(directory, "graph.yaml"), GRAPH);
  const port = await freePort();
  running = start(["serve", "graph.yaml", "--json", "--port", "0", "--eventstore-port", String(port)], {
    cwd: directory,
  });
  ({ eventStore: connectionString } = JSON.parse(await running.line(/^\{/)) as { readonly eventStore: string });
  expect(connectionString).toBe(`esdb://127.0.0.1:${port}?tls=false`);
});

afterAll(async () => {
  running.child.kill("SIGTERM");
  expect(await running.finished).toMatchObject({ code: 0 });
  rmSync(directory, { recursive: true });
});

const GRAPH = `name: large-orders
nodes:
  orders: { kind: source, from: "file:./orders.ndjson" }
  large:  { kind: filter, input: orders, where: "event.amount > 10" }
  table:  { kind: sink, input: large, to: "projection:large-orders", key: [id] }
`;

function runExample(command: string, args: readonly string[], input: string): string {
  const env = { ...process.env, MILLRACE_EVENTSTORE: connectionString };
  const run = spawnSync(command, args, { cwd: join(root, "ops"), env, input, encoding: "utf8" });
  expect(run.status, run.stderr).toBe(0);
  return run.stdout;
}

it("runs the example for Node", () => {
  const stdout = runExample(process.execPath, ["--input-type=module", "-"], block("js"));
  expect(stdout.trimEnd().split("\n")).toEqual([
    "0n OrderPlaced { amount: 120 }",
    "1n OrderPaid { amount: 120 }",
    expect.stringMatching(/^large-orders\/\S+ \w+ \w+$/),
  ]);
});

it.skipIf(process.env.MILLRACE_SKIP_EVENTSTORE_PYTHON)("runs the example for Python", () => {
  expect(runExample(pythonClients.python, ["-"], block("python"))).toBe('0 OrderPlaced {"amount": 120}\n');
});

it("shows what clients appended to the command line", async () => {
  const url = (await running.line(/^\{/)).replace(/^.*"url":"([^"]+)".*$/, "$1");
  const { stdout } = await millrace(["events", "ls", "--url", url, "--stream", "order-17", "--json"]);
  expect(stdout).toContain("OrderPaid");
  const page = (await (await fetch(`${url}/api/v1/events?stream=order-17&payload=full`)).json()) as {
    readonly events: readonly { readonly payload: unknown }[];
  };
  expect(page.events[0]?.payload).toEqual({ data: { amount: 120 }, metadata: null });
});

it("lets no event of a client pass for one of Millrace's", async () => {
  const client = EventStoreDBClient.connectionString(connectionString);
  for (const type of ["Step", "GraphStarted", "GraphDeployed", "DeadLettersSettled", "Owned"])
    await client.appendToStream("imitation", jsonEvent({ type, data: {} }));
  for (const stream of ["graphs", "graph/large-orders", "large-orders/table", "large-orders/unheard-of"])
    await expect(client.appendToStream(stream, jsonEvent({ type: "Step", data: {} }))).rejects.toMatchObject({
      type: "access-denied",
    });
  await client.dispose();
  const url = (await running.line(/^\{/)).replace(/^.*"url":"([^"]+)".*$/, "$1");
  const end = async (): Promise<unknown> => {
    const asked = await fetch(`${url}/api/v1/projections`);
    const { projections } = (await asked.json()) as {
      readonly projections: readonly { readonly state: string; readonly lag: number }[];
    };
    return projections.map(({ state, lag }) => `${state} ${lag}`);
  };
  await expect.poll(end).toEqual(["live 0", "live 0", "live 0", "live 0"]);
});

it("refuses a port that is taken before it changes anything", async () => {
  const taken = new URL(connectionString.replace("esdb:", "http:")).port;
  const { code, stderr } = await millrace(
    ["serve", "graph.yaml", "--port", "0", "--eventstore-port", taken, "--data", join(directory, "other")],
    { cwd: directory },
  );
  expect(stderr).toContain("HOST-PORT");
  expect(code).not.toBe(0);
});
