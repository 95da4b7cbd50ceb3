import { systemEnv } from "@millrace/engine";
import type { FastifyInstance } from "fastify";
import { Registry } from "prom-client";
import { buildGateway, type GatewayDeps } from "../src/mod.ts";
import { ArrayLog } from "./array-log.ts";
import { edgeStatus, FakeHost, graphStatus, nodeStatus } from "./fake-host.ts";
import { deadLetter, FakeDeadLetters, FakeProjections } from "./fake-reads.ts";

export interface TestGateway {
  readonly app: FastifyInstance;
  readonly host: FakeHost;
  readonly log: ArrayLog;
  readonly projections: FakeProjections;
  readonly deadLetters: FakeDeadLetters;
  /** Errors that were the server's own fault. */
  readonly faults: unknown[];
}

/** A gateway over plain data: one graph, thirty events, one projection, two dead letters. */
export function testGateway(more: Partial<GatewayDeps> = {}): TestGateway {
  const host = new FakeHost();
  host.add(
    graphStatus(
      "late-flights",
      [
        nodeStatus("flights", "source", { messagesOut: 100 }),
        nodeStatus("late", "filter", { lastError: { code: "MSG-POISON", kind: "terminal", message: "once" } }),
        nodeStatus("board", "sink", { guarantee: "exactly-once", watermarkMs: 1000 }),
      ],
      [
        edgeStatus("flights", "late", { depth: 700, aligning: { lanes: 2, behind: "live#0" } }),
        edgeStatus("late", "board"),
      ],
    ),
  );
  host.sources.set("late-flights", "name: late-flights\n");
  host.messages = (_graph, edge) => [{ edge, pos: 7, ord: 0, atMs: 1, value: { origin: "ATL", delay: 42 } }];
  const log = new ArrayLog();
  for (let i = 0; i < 30; i++) {
    log.add({
      type: i % 3 === 0 ? "Step" : "Owned",
      stream: `node/${i % 2}`,
      graph: "late-flights",
      node: "late",
      payload: { i },
    });
  }
  const projections = new FakeProjections();
  projections.set("departures", 30, [
    { origin: "ATL", flights: 3 },
    { origin: "ORD", flights: 5 },
  ]);
  const deadLetters = new FakeDeadLetters();
  deadLetters.letters = [deadLetter(2), deadLetter(1)];
  const faults: unknown[] = [];
  const app = buildGateway({
    host,
    log,
    projections,
    deadLetters,
    metrics: new Registry(),
    health: () => ({ checks: [{ name: "log", ok: true, detail: "writable" }] }),
    env: systemEnv(),
    version: "0.1.0",
    graphSchema: { type: "object" },
    report: (thrown) => void faults.push(thrown),
    ...more,
  });
  return { app, host, log, projections, deadLetters, faults };
}
