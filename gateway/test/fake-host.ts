/** Graphs as plain data: a host whose counters a test moves by hand, or that a demo moves with the clock. */
import type {
  EdgeStatus,
  GraphHost,
  GraphStatus,
  Json,
  Mutation,
  NodeStatus,
  PeekedMessage,
  WebhookKeys,
} from "@millrace/engine";
import { MillraceError } from "@millrace/engine";

export function nodeStatus(node: string, kind: string, more: Partial<NodeStatus> = {}): NodeStatus {
  return {
    node,
    kind,
    role:
      kind === "source" ? "source" : kind === "filter" || kind === "enrich" || kind === "map" ? "pure" : "committed",
    state: "running",
    messagesIn: 0,
    messagesOut: 0,
    consumed: 0,
    dropped: 0,
    deadLettered: 0,
    restarts: 0,
    steps: 0,
    stepsInFlight: 0,
    commitP99Ms: null,
    busyMs: 0,
    blockedMs: 0,
    pressure: "none",
    watermarkMs: null,
    epoch: 1,
    lastError: null,
    reason: "",
    ...more,
  };
}

export function edgeStatus(from: string, to: string, more: Partial<EdgeStatus> = {}): EdgeStatus {
  return {
    edge: `${from} -> ${to}`,
    from,
    port: "out",
    to,
    subject: `late-flights.${from}.${to}`,
    via: "local",
    messages: 0,
    frames: 0,
    depth: 0,
    capacity: 1024,
    oldestMs: 0,
    dropped: 0,
    watermarkMs: null,
    ...more,
  };
}

export function graphStatus(
  graph: string,
  nodes: readonly NodeStatus[],
  edges: readonly EdgeStatus[],
  more: Partial<GraphStatus> = {},
): GraphStatus {
  return {
    graph,
    revision: 7,
    state: "running",
    durability: "durable",
    startedMs: 1_700_000_000_000,
    nodes,
    edges,
    messagesIn: 0,
    messagesOut: 0,
    deadLettered: 0,
    dropped: 0,
    commitP99Ms: 4.6,
    position: 0,
    ...more,
  };
}

export interface Call {
  readonly verb: string;
  readonly graph: string;
  readonly by?: Mutation;
  readonly ids?: readonly string[];
  readonly key?: string | undefined;
}

export class FakeHost implements GraphHost {
  readonly graphs = new Map<string, GraphStatus>();
  readonly calls: Call[] = [];
  readonly sources = new Map<string, string>();
  readonly pushed: Json[] = [];
  /** When set, the next push fails with it. */
  pushFailure: MillraceError | undefined;
  /** What crosses an edge; the newest comes first. */
  messages: (graph: string, edge: string) => readonly PeekedMessage[] = () => [];
  /** Messages that a peek gets, once per call of {@link FakeHost.emit}. */
  readonly #peeks = new Set<(batch: readonly PeekedMessage[]) => void>();

  /** By source. */
  readonly keys = new Map<string, WebhookKeys>();

  pushKeys(_graph: string, node: string): WebhookKeys | undefined {
    return this.keys.get(node);
  }

  add(status: GraphStatus): void {
    this.graphs.set(status.graph, status);
  }

  list(): readonly GraphStatus[] {
    return [...this.graphs.values()];
  }

  status(graph: string): GraphStatus | undefined {
    return this.graphs.get(graph);
  }

  source(graph: string): string | undefined {
    return this.sources.get(graph);
  }

  stop = (graph: string, by: Mutation): Promise<void> => this.#change("stop", graph, by, "stopped");
  start = (graph: string, by: Mutation): Promise<void> => this.#change("start", graph, by, "running");
  suspend = (graph: string, by: Mutation): Promise<void> => this.#change("suspend", graph, by, "suspended");
  resume = (graph: string, by: Mutation): Promise<void> => this.#change("resume", graph, by, "running");

  recent(graph: string, edge: string): readonly PeekedMessage[] {
    return this.messages(graph, edge).slice(0, 50);
  }

  async *peek(
    _graph: string,
    _edge: string,
    _perSecond: number,
    signal: AbortSignal,
  ): AsyncIterable<readonly PeekedMessage[]> {
    const waiting: (readonly PeekedMessage[])[] = [];
    let wake = (): void => {};
    const take = (batch: readonly PeekedMessage[]): void => {
      waiting.push(batch);
      wake();
    };
    this.#peeks.add(take);
    signal.addEventListener("abort", () => wake(), { once: true });
    try {
      while (!signal.aborted) {
        const batch = waiting.shift();
        if (batch) yield batch;
        else
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      }
    } finally {
      this.#peeks.delete(take);
    }
  }

  get peekCount(): number {
    return this.#peeks.size;
  }

  emit(batch: readonly PeekedMessage[]): void {
    for (const take of this.#peeks) take(batch);
  }

  async push(graph: string, _node: string, messages: readonly Json[], key?: string): Promise<number> {
    const failure = this.pushFailure;
    if (failure) throw failure;
    this.calls.push({ verb: "push", graph, key });
    this.pushed.push(...messages);
    return this.pushed.length;
  }

  async redrive(graph: string, ids: readonly string[], by: Mutation): Promise<number> {
    this.calls.push({ verb: "redrive", graph, by, ids });
    return ids.length;
  }

  async #change(verb: string, graph: string, by: Mutation, state: GraphStatus["state"]): Promise<void> {
    const status = this.graphs.get(graph);
    if (!status) throw new MillraceError("GRAPH-UNKNOWN", "rejected", `no graph ${graph}`);
    this.calls.push({ verb, graph, by });
    this.graphs.set(graph, { ...status, state });
  }
}
