/** Connectors that a graph brings along: modules beside it, over the layer that the built-in ones use. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { RunningGraph, WAIT } from "./running-graph.ts";

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "millrace-custom-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const module = (name: string, text: string): string => {
  const path = join(directory, name);
  writeFileSync(path, text);
  return `custom:${path}`;
};

/** A shop that refuses its first connection; what it is told is a file of rows. */
const SHOP = `
import { appendFileSync } from "node:fs";
let refusals = 1;
export function sink(options, { id, env, key, resilience: { Connection, resilientSink } }) {
  const connection = new Connection({
    name: "shop", endpoints: ["a"], env,
    driver: {
      connect: async () => { if (refusals-- > 0) throw new Error("closed on Sundays"); return {}; },
      probe: async () => {},
      ended: () => new Promise(() => {}),
      disconnect: async () => {},
    },
    policy: { backoffMs: 10 },
  });
  return resilientSink(connection, {
    guarantee: "at-least-once",
    open: async () => {},
    async deliver(shop, slices) {
      for (const { batch } of slices)
        for (const row of batch.rows()) appendFileSync(options.get("to"), JSON.stringify([id, key, row]) + "\\n");
      return null;
    },
  });
}
`;

/** Numbers that nobody keeps. */
const BELL = `
export function source(options, { env }) {
  return {
    connection: () => ({ name: "bell", state: "up", endpoint: null, reason: "", sinceMs: 0, connects: 1, failures: 0 }),
    run(intake, signal) {
      for (let n = 1; n <= Number(options.get("times")); n++) intake.take({ n });
      return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    },
  };
}
`;

test("a feed and a sink of one's own are nodes as others are, with a connection that is shown and made again", async () => {
  const to = join(directory, "rows.ndjson");
  const graph = await RunningGraph.start(`name: custom
nodes:
  in:  { kind: source, from: "${module("bell.mjs", BELL)}?times=3" }
  out: { kind: sink, input: in, to: "${module("shop.mjs", SHOP)}?to=${to}", key: [n] }
`);
  const lines = (): readonly string[] => readFileSync(to, { encoding: "utf8", flag: "a+" }).split("\n").filter(Boolean);
  await vi.waitFor(() => expect(lines()).toHaveLength(3), WAIT);
  expect(lines().map((line) => JSON.parse(line))).toEqual([1, 2, 3].map((n) => ["custom/out", ["n"], { n }]));
  const { nodes } = graph.status();
  expect(nodes.map(({ connection }) => [connection?.name, connection?.state])).toEqual([
    ["bell", "up"],
    ["shop", "up"],
  ]);
  await graph.stop();
});

test.each([
  ["", "exports no function `source`"],
  ["export const source = () => ({});", "`source` of the connector does not return a source with"],
  ["export const source = () => { throw new Error('no warehouse'); };", "failed: no warehouse"],
  ["import 'nothing-of-that-name';", "cannot be loaded: Cannot find package"],
])("a module that is no connector is refused: %s", async (text, message) => {
  const from = module("bad.mjs", text);
  await expect(
    RunningGraph.start(`name: bad
nodes:
  in:  { kind: source, from: "${from}" }
  out: { kind: sink, input: in, to: "discard:" }
`),
  ).rejects.toMatchObject({ code: "HOST-CONNECTOR", message: expect.stringContaining(message) });
});

test("a feed of one's own is not replayed, and says so", async () => {
  const from = `${module("bell.mjs", BELL)}?times=1`;
  await expect(
    RunningGraph.start(`name: timed
nodes:
  in:  { kind: source, from: "${from}", time: at, speed: 2 }
  out: { kind: window, input: in, tumbling: 1h, compute: { n: count() } }
  end: { kind: sink, input: out, to: "discard:" }
`),
  ).rejects.toMatchObject({
    code: "HOST-CONNECTOR",
    message: expect.stringContaining("`speed`: a feed is not told again"),
    place: { line: 3 },
  });
});

/** As much of the client as the example needs; what is put goes into a file. */
const AEROSPIKE = `
const { appendFileSync } = require("node:fs");
exports.Key = class { constructor(ns, set, key) { Object.assign(this, { ns, set, key }); } };
exports.connect = async ({ hosts }) => ({
  isConnected: () => true,
  close() {},
  put: async (key, row) => appendFileSync(__dirname + "/puts", JSON.stringify([hosts, key, row]) + "\\n"),
});
`;

test("the example of Aerospike in the documentation calls the client for each row", async () => {
  const docs = readFileSync(join(import.meta.dirname, "../../docs/connectors.md"), "utf8");
  const [, example = ""] = /```js\n(\/\/ aerospike\.mjs[\s\S]*?)```/.exec(docs) ?? [];
  const client = join(directory, "node_modules", "aerospike");
  mkdirSync(client, { recursive: true });
  writeFileSync(join(client, "index.js"), AEROSPIKE);
  const graph = await RunningGraph.start(`name: example
nodes:
  in:  { kind: source, from: "${module("bell.mjs", BELL)}?times=2" }
  out: { kind: sink, input: in, to: "${module("aerospike.mjs", example)}?hosts=a:3000,b:3000&namespace=shop&set=orders", key: [n] }
`);
  const puts = (): readonly string[] =>
    readFileSync(join(client, "puts"), { encoding: "utf8", flag: "a+" }).split("\n").filter(Boolean);
  await vi.waitFor(() => expect(puts()).toHaveLength(2), WAIT);
  expect(puts().map((line) => JSON.parse(line))).toEqual(
    [1, 2].map((n) => ["a:3000", { ns: "shop", set: "orders", key: n }, { n }]),
  );
  await graph.stop();
});
