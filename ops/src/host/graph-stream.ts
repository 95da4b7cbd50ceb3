/**
 * The stream `graph/<name>`: what happened to a graph as a whole, and who did it. Nodes have streams of their own.
 */
import {
  type CutPoint,
  type CutTarget,
  defineEventSchema,
  type Env,
  type EventInput,
  type EventLog,
  type EventSchema,
  type Json,
  MillraceError,
  type Mutation,
  newestFirst,
  oldestFirst,
  packState,
  type RecordedEvent,
  type StateEvent,
  type StreamAppend,
} from "@millrace/engine";
import { prunedBelow } from "@millrace/streams/embedded";

/** What the host itself does, without a person asking. */
export const SYSTEM: Mutation = { principal: "system", reason: "" };

export interface GraphEvent {
  readonly type: string;
  readonly payload: Readonly<Record<string, unknown>>;
  /** The node that the event is about; default none. */
  readonly node?: string;
}

/** A projection as its graph declares it. */
export interface DeclaredProjection {
  readonly name: string;
  readonly key: readonly string[];
  /** Streams of the sinks that write its rows. */
  readonly streams: readonly string[];
}

/** Payload of `GraphDeployed`: one revision of a graph, with everything that its results depend on. */
export interface Deployment {
  readonly revision: number;
  /** The graph file as it was read. */
  readonly definition: string;
  /** Identifies definition, tables and calculators together. */
  readonly hash: string;
  /** Content hash of the definition (under `""`) and of every file that is part of the revision. */
  readonly parts: Readonly<Record<string, string>>;
  readonly projections: readonly DeclaredProjection[];
  /** Where the revision before ended, origin by origin: where new lanes begin. */
  readonly begins: readonly CutPoint[];
  /** First revision with the present definition of a node; nodes that are not named have it since the first. */
  readonly stateSince: Readonly<Record<string, number>>;
}

/** Payload of `CutIntended`: how far the present revision runs before the next takes its place. */
export interface CutIntent {
  /** The revision that is to come. */
  readonly revision: number;
  readonly targets: readonly CutTarget[];
}

export const GRAPH_DEPLOYED = "GraphDeployed";
export const CUT_INTENDED = "CutIntended";
export const DEAD_LETTER_REDRIVEN = "DeadLetterRedriven";
const GRAPH_FINISHED = "GraphFinished";
const PREFIX = "graph/";
const REDRIVEN_MAX = 1000;

export function graphStreamOf(graph: string): string {
  return `${PREFIX}${graph}`;
}

/** Version of the payloads of all events that a host appends to a graph's stream. */
const HOST_SCHEMA = 1;
const schemas = new Map<string, EventSchema<StateEvent>>();

/** What an event of a graph's stream says. @throws EVENT-SCHEMA, EVENT-PAYLOAD */
export function hostPayload(event: RecordedEvent): StateEvent {
  const { type } = event;
  const schema = schemas.get(type) ?? defineEventSchema({ type, version: HOST_SCHEMA });
  schemas.set(type, schema);
  return schema.decode(event);
}

export class GraphStream {
  readonly #log: EventLog;
  readonly #env: Env;
  readonly #graph: string;
  /** Appends are made one after the other, so that the stream tells things in the order in which they happened. */
  #last: Promise<unknown> = Promise.resolve();
  #revision = 0;
  #codeVersion = "";
  #appends = 0;
  readonly #waiting = new Set<() => void>();

  constructor(log: EventLog, env: Env, graph: string) {
    this.#log = log;
    this.#env = env;
    this.#graph = graph;
  }

  /** Events from now on are about this revision. */
  about(revision: number, codeVersion: string): void {
    this.#revision = revision;
    this.#codeVersion = codeVersion;
  }

  /** Appends all or nothing; resolves with the position of the last event. */
  append(events: readonly GraphEvent[], by: Mutation): Promise<number> {
    const append = this.#last.then(() => this.#append(events, by));
    this.#last = append.catch(() => undefined);
    return append;
  }

  /** The newest revision that was deployed. */
  deployment(): Promise<Deployment | undefined> {
    return deploymentBefore(this.#log, this.#graph, Number.POSITIVE_INFINITY);
  }

  /** The newest intent to end a revision; it may have been carried out since. */
  async cutIntent(): Promise<CutIntent | undefined> {
    for await (const event of this.#newestFirst(CUT_INTENDED)) {
      // Written by the host, checked by the log's own checksum.
      return hostPayload(event) as unknown as CutIntent;
    }
    return undefined;
  }

  /** Whether the graph ever came to its end. */
  async hasFinished(): Promise<boolean> {
    for await (const _ of this.#newestFirst(GRAPH_FINISHED)) return true;
    return false;
  }

  /** Nodes that dead letters were sent through again at any time: their lanes are part of what the log knows. */
  async nodesRedriven(): Promise<Set<string>> {
    const nodes = new Set<string>();
    for await (const event of this.#newestFirst(DEAD_LETTER_REDRIVEN)) nodes.add(event.context.node);
    return nodes;
  }

  #newestFirst(type: string): AsyncGenerator<RecordedEvent> {
    return newestFirst(this.#log, graphStreamOf(this.#graph), { types: [type] });
  }

  /** Redriven inputs for `node` after a revision of this stream, oldest first. @throws LOG-PRUNED some are gone */
  async redriven(node: string, after: number): Promise<readonly RecordedEvent[]> {
    const found: RecordedEvent[] = [];
    const carried = await this.#log.carried?.(graphStreamOf(this.#graph));
    // A prune takes none that its node has not consumed, unless the graph was abandoned.
    const isLost = ({ type, context, revision }: RecordedEvent): boolean =>
      type === DEAD_LETTER_REDRIVEN && context.node === node && revision > after;
    const lost = carried?.events.find(isLost);
    if (lost !== undefined) throw prunedBelow(this.#log.base ?? 0, lost.position);
    const from = Math.max(after, carried?.revision ?? -1) + 1;
    const options = { from, limit: REDRIVEN_MAX, filter: { types: [DEAD_LETTER_REDRIVEN], node } };
    for await (const events of this.#log.readStream(graphStreamOf(this.#graph), options)) found.push(...events);
    return found;
  }

  /** How many appends there were: what {@link appended} is asked with, taken before a look at the stream. */
  get appends(): number {
    return this.#appends;
  }

  /** Resolves when there were more than `appends`, or when the signal aborts. */
  appended(appends: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted || this.#appends > appends) {
        resolve();
        return;
      }
      const wake = (): void => {
        this.#waiting.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal.addEventListener("abort", wake, { once: true });
    });
  }

  /** Resolves when everything appended so far is durable, or has failed. */
  async settled(): Promise<void> {
    await this.#last;
  }

  /** Appends the first revision of the graph, and that there is such a graph. */
  async deploy(deployment: Deployment, by: Mutation): Promise<void> {
    const deployed = this.#inputs([{ type: GRAPH_DEPLOYED, payload: { ...deployment } }], by);
    const added = this.#inputs([{ type: GRAPH_ADDED, payload: {} }], by);
    const first: StreamAppend = { stream: graphStreamOf(this.#graph), expected: "none", events: deployed };
    const listed: StreamAppend = { stream: GRAPHS_STREAM, expected: "any", events: added };
    try {
      await this.#log.append([first, listed]);
    } catch (thrown) {
      if (!(thrown instanceof MillraceError && thrown.code === "LOG-ONE-STREAM")) throw thrown;
      // A graph that is listed and has no revision is passed over; one that is not listed would not be found.
      await this.#log.append([listed]);
      await this.#log.append([first]);
    }
  }

  async #append(events: readonly GraphEvent[], by: Mutation): Promise<number> {
    const inputs = this.#inputs(events, by);
    const { position } = await this.#log.append([
      { stream: graphStreamOf(this.#graph), expected: "any", events: inputs },
    ]);
    this.#appends++;
    for (const wake of [...this.#waiting]) wake();
    return position;
  }

  #inputs(events: readonly GraphEvent[], by: Mutation): EventInput[] {
    const correlationId = this.#env.random.bytes(16);
    return events.map(({ type, payload, node = "" }) => ({
      id: this.#env.random.bytes(16),
      type,
      schemaVersion: HOST_SCHEMA,
      context: {
        causationId: correlationId,
        correlationId,
        principal: by.principal,
        tenant: "",
        codeVersion: this.#codeVersion,
        graph: this.#graph,
        graphRevision: this.#revision,
        node,
        epoch: 0,
      },
      // Payloads are made of what msgpack can say; `undefined` fields are left out by it.
      payload: packState((by.reason === "" ? payload : { ...payload, reason: by.reason }) as StateEvent),
    }));
  }
}

/** What a `GraphDeployed` event says. */
export function deploymentOf(event: RecordedEvent): Deployment {
  // Written by the host, checked by the log's own checksum.
  return hostPayload(event) as unknown as Deployment;
}

/** Payload of {@link DEAD_LETTER_REDRIVEN}; the event's node is the one that gets the input again. */
export interface Redriven {
  readonly id: string;
  readonly input: Json;
}

export function redrivenOf(event: RecordedEvent): Redriven {
  return hostPayload(event) as unknown as Redriven;
}

/** Names of all graphs of a log, each once: no prefix needs to be searched for them. */
export const GRAPHS_STREAM = "graphs";
const GRAPH_ADDED = "GraphAdded";

/** Of all graphs that the log knows. */
export async function graphNames(log: EventLog): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  for await (const { context } of oldestFirst(log, GRAPHS_STREAM)) names.add(context.graph);
  return names;
}

/** The newest deployment of every graph that the log knows. */
export async function deployments(log: EventLog, env: Env): Promise<ReadonlyMap<string, Deployment>> {
  const found = new Map<string, Deployment>();
  for (const graph of await graphNames(log)) {
    const deployment = await new GraphStream(log, env, graph).deployment();
    if (deployment !== undefined) found.set(graph, deployment);
  }
  return found;
}

/** The revision in force at a position, exclusive, that can be read. */
export async function deploymentBefore(log: EventLog, graph: string, end: number): Promise<Deployment | undefined> {
  for await (const event of newestFirst(log, graphStreamOf(graph), { types: [GRAPH_DEPLOYED] }))
    if (event.position < end) return deploymentOf(event);
  return undefined;
}

/** Of the streams that this file knows: under which name an event takes the place of an earlier one, if it is ever looked up. */
export function graphEventKey({ type, context }: RecordedEvent): string | undefined {
  switch (type) {
    case GRAPH_DEPLOYED:
    case CUT_INTENDED:
    case GRAPH_FINISHED:
      return type;
    case GRAPH_ADDED:
      return `${type} ${context.graph}`;
    case DEAD_LETTER_REDRIVEN:
      return `${type} ${context.node}`;
    default:
      return undefined;
  }
}
