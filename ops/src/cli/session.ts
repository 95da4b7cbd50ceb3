/** What `run` and `serve` share: graph files compiled, a data directory opened, graphs started, the server listening. */
import { createServer } from "node:net";
import { hostname } from "node:os";
import { type Env, errnoOf, messageOf, systemEnv } from "@millrace/engine";
import type { WitnessOptions } from "../audit/witness-options.ts";
import type { CompileOptions } from "../compile/compile-context.ts";
import { compileGraph } from "../compile/compile-graph.ts";
import type { CompiledGraph } from "../compile/compiled-graph.ts";
import { opsError } from "../errors.ts";
import { exitOnUncaught } from "../fast-exit.ts";
import { dataDirectory } from "../host/data-directory.ts";
import { type EdgeBroker, openEdgeBroker, placedNodes, type RunsHere, requireBroker } from "../host/edge-broker.ts";
import { type EventStoreOptions, openEventStore } from "../host/event-store.ts";
import { healthNews } from "../host/health-log.ts";
import type { HostData } from "../host/host-data.ts";
import { HostMemory } from "../host/host-memory.ts";
import { HostPayloads, type PayloadMemory } from "../host/host-payloads.ts";
import { HostPersonal } from "../host/host-personal.ts";
import { type LogAddress, logAddress } from "../host/log-address.ts";
import { LOOPBACK } from "../host/loopback.ts";
import { type OpenedData, openData } from "../host/open-data.ts";
import { exitOnFatal, type OpenedHost, openHost } from "../host/open-host.ts";
import { openRemoteData } from "../host/open-remote-data.ts";
import { logNews } from "../host/operator-log.ts";
import { ProjectionTables } from "../host/projection-tables.ts";
import type { RunningGraph } from "../host/running-graph.ts";
import { refuseSharedFiles } from "../host/sink-files.ts";
import { waitNews } from "../host/wait-log.ts";
import { openCareSocket } from "../retention/care-socket.ts";
import { OpenLogCare } from "../retention/open-log-care.ts";
import type { HttpServerOptions } from "./http-server.ts";
import { type LoadedGraph, loadGraph, refuseProblems } from "./load-graph.ts";
import { refuseUnserved } from "./refuse-unserved.ts";
import { inert } from "./terminal-text.ts";

export interface SessionOptions {
  readonly files: readonly string[];
  /** Data directory. */
  readonly data: string;
  /** Address of the log in EventStoreDB; absent: it is in the data directory. */
  readonly log?: string;
  /** Absent: no HTTP. 0: any free port. */
  readonly port?: number;
  /** Absent: no EventStoreDB endpoint. */
  readonly eventStore?: EventStoreOptions;
  /** Multiple of event time that sources are replayed at. */
  readonly speed?: number;
  /** The session ends with its graphs. */
  readonly untilDone: boolean;
  /** Address of the broker that edges with `via`, and those to other hosts, lead over. */
  readonly edges?: string;
  /** Nodes to run here; the others run on other hosts. Absent: all. */
  readonly nodes?: readonly string[];
  readonly payloads?: PayloadMemory | undefined;
  /** Who is asked to cosign the log's checkpoints. */
  readonly witnesses?: WitnessOptions | undefined;
}

export interface Session {
  readonly opened: OpenedHost;
  readonly data: HostData;
  readonly graphs: readonly CompiledGraph[];
  readonly payloads: HostPayloads;
  /** Where the console is; absent without HTTP. */
  readonly url: string | undefined;
  /** What EventStoreDB clients connect with; absent without that endpoint. */
  readonly eventStore: string | undefined;
  close(reason: string): Promise<void>;
}

/**
 * @throws GRAPH-INVALID with every problem, HOST-REVISION, HOST-PORT, HOST-REMOTE-LOG, LOG-LOCKED and other refusals of the log
 */
export async function openSession(options: SessionOptions): Promise<Session> {
  exitOnUncaught();
  const env = systemEnv();
  const loaded = options.files.map(loadGraph);
  refuseProblems(loaded);
  const remote = options.log === undefined ? undefined : logAddress(options.log);
  if (remote !== undefined) refuseUnserved(loaded, options);
  if (options.port !== undefined && process.env.MILLRACE_TOKEN === "")
    throw opsError("CLI-USAGE", "MILLRACE_TOKEN is set, and empty: a token that everybody knows");
  for (const port of [options.port, options.eventStore?.port]) if (port !== undefined) await requireFreePort(port);
  const tables = new ProjectionTables();
  const payloads = new HostPayloads({
    env,
    data: options.data,
    memory: options.payloads,
  });
  const personal = new HostPersonal();
  const memory = new HostMemory();
  const graphs = await compileAll(loaded, options, env, { tables, payloads, personal, memory });
  refuseSharedFiles(graphs);
  const opening = new Opening();
  try {
    const edges = options.edges === undefined ? undefined : await openEdgeBroker(options.edges, env);
    if (edges !== undefined) opening.onFailure(() => edges.close());
    const runsHere = placement(graphs, options, edges);
    const { data, own } = await openLog(options, remote, env);
    const opened = await start(data, graphs, tables, options, env, { edges, runsHere, payloads, personal });
    opening.onFailure(() => opened.close("the server could not be opened"));
    const tell = (line: string): void => void process.stderr.write(`${inert(line)}\n`);
    for (const { model } of graphs) tellBegunAnew(opened.host.running(model.name), tell);
    const server =
      options.port === undefined ? undefined : await listen({ opened, data, env, payloads, port: options.port });
    if (server !== undefined) opening.onFailure(() => server.close());
    const eventStore = options.eventStore && (await openEventStore(opened, options.eventStore, env));
    if (eventStore !== undefined) opening.onFailure(() => eventStore.close());
    const care = own && (await openCare(own, opened, payloads, env));
    const endNews = logNews([healthNews(opened.health), waitNews(() => opened.host.list())], env, tell);
    const close = async (reason: string): Promise<void> => {
      endNews();
      await eventStore?.close();
      await server?.close();
      await care?.close();
      await opened.close(reason);
    };
    return { opened, data, graphs, payloads, url: server?.url, eventStore: eventStore?.connectionString, close };
  } catch (thrown) {
    await opening.undo();
    throw thrown;
  }
}

function tellBegunAnew({ name, revision, begunAnew }: RunningGraph, tell: (line: string) => void): void {
  if (begunAnew.length === 0) return;
  const whose = begunAnew.length === 1 ? "its definition has" : "their definitions have";
  tell(`${name} revision ${revision}: ${begunAnew.join(", ")} without the state of before, as ${whose} changed`);
}

/** What has been opened so far: a session that cannot be opened whole leaves nothing that keeps the process alive. */
class Opening {
  readonly #undo: (() => Promise<void>)[] = [];

  onFailure(close: () => Promise<void>): void {
    this.#undo.push(close);
  }

  async undo(): Promise<void> {
    for (const close of this.#undo.reverse()) await close();
  }
}

interface OpenedLog {
  readonly data: HostData;
  /** The same, where the log is in the data directory. */
  readonly own: OpenedData | undefined;
}

async function openLog(
  { data: path, witnesses }: SessionOptions,
  log: LogAddress | undefined,
  env: Env,
): Promise<OpenedLog> {
  if (log !== undefined) return { data: await openRemoteData({ path, env, log }), own: undefined };
  const own = await openData({ path, env, onFatal: exitOnFatal, witnesses });
  return { data: own, own };
}

/** What keepers of the log may ask of this host. */
async function openCare(
  data: OpenedData,
  { projections }: OpenedHost,
  payloads: HostPayloads,
  env: Env,
): Promise<{ close(): Promise<void> }> {
  const care = new OpenLogCare({ data, env, projections, payloads: async () => payloads.exchange });
  const socket = await openCareSocket(data.directory.care, care);
  const close = async (): Promise<void> => {
    await Promise.all([socket.close(), care.close()]);
  };
  return { close };
}

/** Which nodes run here; absent: all. @throws HOST-EDGES, CLI-USAGE */
function placement(
  graphs: readonly CompiledGraph[],
  { nodes, untilDone }: SessionOptions,
  edges: EdgeBroker | undefined,
): RunsHere | undefined {
  for (const { model } of graphs) requireBroker(model, edges);
  const model = graphs[0]?.model;
  const runsHere = nodes === undefined || model === undefined ? undefined : placedNodes(model, nodes, edges);
  if (untilDone) for (const graph of graphs) requireEnd(graph, runsHere);
  return runsHere;
}

/** @throws CLI-USAGE a source never ends, so the run would not either */
function requireEnd({ program, model }: CompiledGraph, runsHere: RunsHere = () => true): void {
  const here = program.nodes.filter(({ name }) => runsHere(name));
  if (here.every(({ role }) => role === "pure"))
    throw opsError("CLI-USAGE", "stateless nodes alone do not know an end, so --until-done would not either");
  for (const node of here) {
    const isEndless =
      node.role === "source"
        ? !node.connector.capabilities.bounded
        : "isSource" in node && node.isSource && node.isBounded !== true;
    if (isEndless !== true) continue;
    const place = model.source.node(node.name);
    throw opsError("CLI-USAGE", `source ${node.name} has no end, so --until-done would never be done`, { place });
  }
}

async function compileAll(
  loaded: readonly LoadedGraph[],
  options: SessionOptions,
  env: Env,
  ports: Pick<CompileOptions, "tables" | "payloads" | "personal" | "memory">,
): Promise<CompiledGraph[]> {
  const { out } = dataDirectory(options.data);
  const speed = options.speed === undefined ? {} : { speed: options.speed };
  const compiled: CompiledGraph[] = [];
  for (const { model, text, dir } of loaded)
    if (model !== undefined) compiled.push(await compileGraph(model, text, { dir, out, env, ...ports, ...speed }));
  return compiled;
}

async function start(
  data: HostData,
  graphs: readonly CompiledGraph[],
  tables: ProjectionTables,
  { untilDone, log: remote }: SessionOptions,
  env: Env,
  sharing: {
    readonly edges: EdgeBroker | undefined;
    readonly runsHere: RunsHere | undefined;
    readonly payloads: HostPayloads;
    readonly personal: HostPersonal;
  },
): Promise<OpenedHost> {
  const report = (thrown: unknown): void => void process.stderr.write(`${inert(messageOf(thrown))}\n`);
  const by = { principal: "cli", reason: "" };
  const traceRatio = Number(process.env.MILLRACE_TRACE_RATIO ?? 0);
  // Several hosts may be at one log, also on one machine, and an owner's name in it is one of them.
  const hostName = remote !== undefined ? `${hostname()}/${process.pid}` : hostname();
  return openHost({ data, env, hostName, graphs, tables, by, untilDone, report, traceRatio, ...sharing });
}

/** Finds out before anything is opened, so that a second server changes nothing. */
async function requireFreePort(port: number): Promise<void> {
  const probe = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      probe.once("error", reject);
      probe.listen({ port, host: LOOPBACK }, resolve);
    });
  } catch (cause) {
    const why = errnoOf(cause) === "EADDRINUSE" ? "is taken by another process" : `cannot be used: ${messageOf(cause)}`;
    throw opsError("HOST-PORT", `port ${port} ${why}`, { cause });
  } finally {
    probe.close();
  }
}

async function listen(options: HttpServerOptions): ReturnType<typeof import("./http-server.ts").openHttpServer> {
  const { openHttpServer } = await import("./http-server.ts");
  return openHttpServer(options);
}
