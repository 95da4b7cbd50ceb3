import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { showDeadLetter } from "./dlq.ts";
import { showGraph } from "./graph.ts";
import { queryProjection } from "./projection.ts";
import { showState } from "./time.ts";

const EVIL = "evil\u001b[2J";
const node = { state: "running", reason: EVIL, details: EVIL };
const answers: Readonly<Record<string, object>> = {
  "/api/v1/graphs/g/nodes/n/state": {
    graph: "g",
    node: "n",
    kind: EVIL,
    steps: 0,
    stepTimeMs: null,
    watermarkMs: null,
    lanes: [{ lane: EVIL, pos: 1, idle: false }],
    sent: { [EVIL]: 1 },
    rows: [],
    rowCount: 0,
  },
  "/api/v1/graphs/g": {
    graph: "g",
    startedMs: 0,
    nodes: [{ node: EVIL, ...node }],
    edges: [{ edge: EVIL, aligning: { lanes: 1, behind: EVIL } }],
  },
  [`/api/v1/dlq/${"0".repeat(32)}`]: {
    id: "0",
    lane: EVIL,
    attempts: 1,
    timeMs: 0,
    error: { code: "X", message: EVIL },
    input: EVIL,
  },
};

let server: Server;
let url: string;
let shown = "";
beforeEach(async () => {
  // Of a projection every page but one without conditions is empty.
  server = createServer(({ url: asked = "" }, response) => {
    const rows = asked.includes("where") ? [] : [{ [`x${EVIL}`]: 1 }];
    response.end(JSON.stringify(answers[asked.split("?")[0] ?? ""] ?? { asOf: 1, rows, next: null }));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  shown = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    shown += String(text);
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  server.closeAllConnections();
  server.close();
});

it.each([
  ["state", () => showState("g/n", { url, limit: 1 })],
  ["graph show", () => showGraph("g", { url })],
  ["dlq show", () => showDeadLetter("0".repeat(32), { url })],
  ["projection query", () => queryProjection("p", { url, where: [`xevil\u001b[2K=1`], order: "asc", limit: 1 })],
])("what data says in `%s` does not steer the terminal", async (_name, show) => {
  await show();
  expect(shown).toContain("evil\\u001b[2");
  expect(shown).not.toContain("evil\u001b[2");
});
