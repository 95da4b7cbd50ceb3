/** Puts a host together: data directory, projections, graphs, and on demand the HTTP server. */
import type { Env, EventLog, MillraceError, Mutation } from "@millrace/engine";
import type { HealthReport } from "@millrace/gateway";
import type { ProjectionRunner } from "@millrace/projections";
import type { CompiledGraph } from "../compile/compiled-graph.ts";
import { exitFast } from "../fast-exit.ts";
import { deadLettersAtEnd } from "./dead-letters.ts";
import type { EdgeBroker, RunsHere } from "./edge-broker.ts";
import { deployments } from "./graph-stream.ts";
import { healthReport } from "./health.ts";
import { Host } from "./host.ts";
import type { HostData } from "./host-data.ts";
import type { HostPayloads } from "./host-payloads.ts";
import type { HostPersonal } from "./host-personal.ts";
import type { ProjectionTables } from "./projection-tables.ts";
import { refuseFilesOfOthers } from "./sink-files.ts";

export interface OpenHostOptions {
  readonly data: HostData;
  readonly env: Env;
  readonly hostName: string;
  readonly graphs: readonly CompiledGraph[];
  /** What the graphs look rows up in; opened before they start. */
  readonly tables: ProjectionTables;
  readonly by: Mutation;
  /** True when the process ends with its graphs. */
  readonly untilDone: boolean;
  readonly report: (thrown: unknown) => void;
  /** Broker that edges with `via`, and those to other hosts, lead over. */
  readonly edges?: EdgeBroker | undefined;
  /** Which nodes run on this host; absent: all. */
  readonly runsHere?: RunsHere | undefined;
  /** Where the payloads of messages are; absent: they name none. */
  readonly payloads?: HostPayloads | undefined;
  /** Keys of the personal values of graphs; absent: they have none. */
  readonly personal?: HostPersonal | undefined;
  /** Share of appends that make a span, `0..1`. Default 0. */
  readonly traceRatio?: number;
}

export interface OpenedHost {
  readonly host: Host;
  readonly log: EventLog;
  readonly projections: ProjectionRunner;
  health(): HealthReport;
  /** Stops the graphs, then everything below them. */
  close(reason: string): Promise<void>;
}

/**
 * Deploys and starts all graphs, or none: the first that is refused closes what was opened.
 *
 * @throws HOST-REVISION, HOST-GRAPH, HOST-PROJECTION
 */
export async function openHost(options: OpenHostOptions): Promise<OpenedHost> {
  const {
    data,
    env,
    hostName,
    graphs,
    tables,
    by,
    untilDone,
    report,
    edges,
    runsHere,
    traceRatio = 0,
    payloads,
    personal,
  } = options;
  if (data.keys !== undefined) personal?.open(data.keys);
  // The API is many files to load for those who trace nothing.
  const log = traceRatio > 0 ? (await import("./traced-log.ts")).tracedLog(data.log, traceRatio, env) : data.log;
  const projections = await data
    .project(graphs.flatMap((graph) => graph.projections))
    .catch(async (thrown: unknown) => {
      await data.close();
      throw thrown;
    });
  const host = new Host({
    log,
    env,
    host: hostName,
    snapshots: data.snapshots,
    payloads,
    personal,
    untilDone,
    report,
    lead: edges === undefined || runsHere === undefined ? undefined : (program) => edges.lead(program, runsHere),
    carriers:
      edges === undefined
        ? undefined
        : (program) =>
            edges.carriers(program, { logId: log.id, runsHere, payloads: payloads && (() => payloads.exchange) }),
    runsHere,
    deadLetters: (ids) => deadLettersAtEnd(projections, log, ids),
  });
  const close = async (reason: string): Promise<void> => {
    await host.close(reason);
    await edges?.close();
    await payloads?.close();
    await data.close();
  };
  try {
    await payloads?.open(data.log, data.directory.payloads);
    tables.open(projections);
    if (graphs.some(({ written }) => written.length > 0))
      refuseFilesOfOthers(graphs, await deployments(data.log, env), data.directory.out);
    for (const graph of graphs) await host.add(graph, by);
  } catch (thrown) {
    await close("another graph was refused");
    throw thrown;
  }
  const health = (): HealthReport => healthReport(data.checks(), projections.list(), host.list());
  return { host, log, projections, health, close };
}

/** What the host does when its log stops for good: nothing may go on that was promised to be durable. */
const EXIT_LOG_STOPPED = 70;

export function exitOnFatal(error: MillraceError): void {
  process.stderr.write(`${error.code} ${error.message}\n`);
  exitFast(EXIT_LOG_STOPPED);
}
