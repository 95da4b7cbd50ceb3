import { expect, it } from "vitest";
import { askedServer } from "../../../test/asked-server.ts";
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

const server = askedServer(({ url: asked = "" }, response) => {
  const rows = [{ [`x${EVIL}`]: 1 }];
  response.end(JSON.stringify(answers[asked.split("?")[0] ?? ""] ?? { asOf: 1, rows, next: null }));
});

it.each([
  ["state", () => showState("g/n", { url: server.url, limit: 1 })],
  ["graph show", () => showGraph("g", { url: server.url })],
  ["dlq show", () => showDeadLetter("0".repeat(32), { url: server.url })],
  ["projection query", () => queryProjection("p", { url: server.url, order: "asc", limit: 1 })],
])("what data says in `%s` does not steer the terminal", async (_name, show) => {
  await show();
  expect(server.shown).toContain("evil\\u001b[2");
  expect(server.shown).not.toContain("evil\u001b[2");
});
