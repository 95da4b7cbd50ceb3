import type { GraphStatus, NodeStatus } from "@millrace/engine";
import type { AuditStatus, ProjectionStatus, WitnessStatus } from "@millrace/projections";
import type { EmbeddedLogHealth } from "@millrace/streams/embedded";
import { describe, expect, it } from "vitest";
import { healthReport, ownLogChecks, remoteLogCheck } from "./health.ts";

const LOG = { state: "open", activeSegment: 3 } as EmbeddedLogHealth;
const TABLE: ProjectionStatus = {
  name: "board",
  version: 1,
  asOf: 10,
  lag: 2,
  lagMs: 5,
  state: "live",
  rows: 1,
  key: [],
};
const graph = (...nodes: readonly Pick<NodeStatus, "node" | "state" | "reason">[]): GraphStatus =>
  ({ graph: "g", state: "running", nodes }) as unknown as GraphStatus;

const TREE: AuditStatus = { state: "live", size: 10, lag: 2, lagMs: 5, failure: undefined, rebuilt: undefined };

type Health = Parameters<typeof healthReport>;
const failing = (
  log: EmbeddedLogHealth,
  tables: Health[1],
  graphs: Health[2],
  audit: AuditStatus = TREE,
): readonly string[] =>
  healthReport(ownLogChecks(log, audit), tables, graphs).checks.flatMap(({ name, ok, detail }) =>
    ok ? [] : [`${name}: ${detail}`],
  );

const WITNESS: WitnessStatus = {
  name: "w.example",
  url: "https://w.example",
  state: "live",
  size: 8,
  lag: 2,
  cosignedMs: 1,
  failure: undefined,
};

describe("a witness", () => {
  const check = (witness: WitnessStatus): unknown => ownLogChecks(LOG, TREE, [witness])[2];

  it("that is away is shown with its lag and code, and takes no host out of service", () => {
    const failure = { code: "WITNESS-UNAVAILABLE", kind: "transient", message: "no answer" } as const;
    const detail = "8 records cosigned, 2 behind; WITNESS-UNAVAILABLE: no answer";
    expect(check({ ...WITNESS, state: "failing", failure })).toEqual({ name: "witness w.example", ok: true, detail });
    expect(check(WITNESS)).toMatchObject({ ok: true, detail: "8 records cosigned, 2 behind" });
  });

  it("that contradicts the log does", () => {
    const failure = { code: "WITNESS-AHEAD", kind: "terminal", message: "it has more" } as const;
    expect(check({ ...WITNESS, state: "alarm", failure })).toMatchObject({ ok: false });
  });
});

describe("a host is ready", () => {
  it("when its log is writable, its projections follow and its graphs run", () => {
    expect(failing(LOG, [TABLE], [graph({ node: "a", state: "running", reason: "" })])).toEqual([]);
  });

  it("not while the log takes no appends", () => {
    expect(failing({ ...LOG, state: "stopped" }, [], [])).toHaveLength(1);
  });

  it("not while a projection stands still, and says why", () => {
    expect(failing(LOG, [{ ...TABLE, state: "failed", reason: "PROJECTION-PARKED: a fold threw" }], [])).toEqual([
      "projection board: PROJECTION-PARKED: a fold threw",
    ]);
  });

  it("not while a projection is more than half a minute behind", () => {
    expect(failing(LOG, [{ ...TABLE, lagMs: 30_001 }], [])).toEqual(["projection board: live, 2 events behind"]);
    const waiting = { ...TABLE, lagMs: 30_001, reason: "STORE-FULL: no space left" };
    expect(failing(LOG, [waiting], [])).toEqual(["projection board: live, 2 events behind; STORE-FULL: no space left"]);
    expect(failing(LOG, [{ ...TABLE, lagMs: 30_000 }], [])).toEqual([]);
  });

  it("not while nothing is signed, and says why", () => {
    const failure = { code: "AUDIT-KEY", kind: "terminal", message: "the signing key is gone" } as const;
    expect(failing(LOG, [], [], { ...TREE, state: "failed", failure })).toEqual([
      "audit: 10 records signed, 2 behind; AUDIT-KEY: the signing key is gone",
    ]);
    expect(failing(LOG, [], [], { ...TREE, lagMs: 30_001 })).toEqual(["audit: 10 records signed, 2 behind"]);
  });

  it("not while a node is parked, and says which and why", () => {
    expect(failing(LOG, [], [graph({ node: "out", state: "parked", reason: "SINK-FAILED: no space" })])).toEqual([
      "graph g: running; out parked: SINK-FAILED: no space",
    ]);
  });
});

it("says since when a log in EventStoreDB does not answer, and what was heard last", () => {
  expect(remoteLogCheck(undefined, "a:2113,b:2113", 0)).toMatchObject({ ok: true });
  const outage = { sinceMs: 1000, reason: "connect ECONNREFUSED" };
  const detail = "ESDB-UNREACHABLE: EventStoreDB (a:2113) has not answered for 4 s: connect ECONNREFUSED";
  expect(remoteLogCheck(outage, "a:2113", 5000)).toEqual({ name: "log", ok: false, detail });
});
