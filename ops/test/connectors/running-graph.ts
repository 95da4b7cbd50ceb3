/** Graphs of connector tests, running in a host over a log in memory: the servers are real, and what is counted comes from them. */
import {
  type ConnectionState,
  type EventLog,
  edgeCarriers,
  type GraphHost,
  type GraphProgram,
  type GraphStatus,
  type InputSlice,
  type Json,
  Positions,
  parseGraph,
  RowBatch,
  systemEnv,
  type Transport,
} from "@millrace/engine";
import { memoryEventLog } from "@millrace/streams/memory";
import type { ResiliencePolicy } from "@millrace/streams/resilience";
import { compileGraph } from "../../src/compile/compile-graph.ts";
import type { Host } from "../../src/host/host.ts";
import { memoryHost } from "../../src/host/memory-host.ts";
import { ProjectionTables } from "../../src/host/projection-tables.ts";

const env = systemEnv();

/** Quick to notice, quick to come back. */
export const QUICK: Partial<ResiliencePolicy> = {
  backoffMs: 10,
  backoffMaxMs: 100,
  suspendMs: 200,
  probeEveryMs: 500,
  probeTimeoutMs: 1000,
};
/** Only what hangs takes so long. */
export const WAIT = { timeout: 60_000, interval: 10 };

export class RunningGraph {
  readonly log: EventLog;
  readonly #host: Host;
  readonly #name: string;

  private constructor(host: Host, log: EventLog, name: string) {
    this.#host = host;
    this.log = log;
    this.#name = name;
  }

  /** `log`: what another incarnation of the graph left. `transport`: of edges that are led over Kafka; closed by who made it. */
  static async start(
    text: string,
    log: EventLog = memoryEventLog({ env }),
    secrets: Readonly<Record<string, string>> = {},
    resilience: Partial<ResiliencePolicy> = QUICK,
    transport?: Transport,
  ): Promise<RunningGraph> {
    const carriers = (program: GraphProgram) =>
      transport === undefined ? undefined : edgeCarriers(program, "kafka", { transport, env, scope: "test" });
    const host = memoryHost(log, { carriers });
    const parsed = parseGraph(text);
    if ("problems" in parsed) throw new Error(JSON.stringify(parsed.problems));
    const options = { dir: ".", out: ".", env, tables: new ProjectionTables(), resilience, secrets };
    await host.add(await compileGraph(parsed.graph, text, options), { principal: "test", reason: "a test" });
    return new RunningGraph(host, log, parsed.graph.name);
  }

  get host(): GraphHost {
    return this.#host;
  }

  status(): GraphStatus {
    return this.#host.status(this.#name) as GraphStatus;
  }

  /** The state of the connection of a node. */
  connection(node: string): ConnectionState | undefined {
    return this.status().nodes.find((status) => status.node === node)?.connection?.state;
  }

  async stop(): Promise<void> {
    await this.#host.close("the test is over");
  }
}

/** Rows as a sink is given them, at positions from `from` on. */
export function slice(from: number, rows: readonly Json[]): InputSlice {
  return { lane: "l", input: 0, batch: new RowBatch(rows), positions: Positions.dense(from, rows.length), late: [] };
}

export const numbers = (from: number, n: number): number[] => Array.from({ length: n }, (_, i) => from + i);
