/**
 * The one live connection of a page, outside React: snapshots arrive four times a second and whoever draws numbers reads
 * them here. A hidden page lets go of its connection, since browsers allow few per server.
 */
import type { GraphStatus } from "../api.ts";
import { Histories } from "./history.ts";
import {
  EMPTY_EDGES,
  EMPTY_NODES,
  type EventsMessage,
  type LiveEdge,
  type LiveGraph,
  type LiveNode,
  type PeekMessage,
  type StatusMessage,
} from "./live-types.ts";

export type Connection = "connecting" | "live" | "lost";
/** `opened`: a connection that knows nothing of the one before. */
type Topic = "status" | "events" | "peek" | "connection" | "opened";

/** Longer without a snapshot, and what is shown is no longer now. */
const STALE_AFTER_MS = 2500;

export class LiveStore {
  readonly histories = new Histories();
  connection: Connection = "connecting";
  status: StatusMessage | undefined;
  events: EventsMessage | undefined;
  peek: PeekMessage | undefined;
  /** Snapshots that this page was too slow for. */
  missed = 0;
  #nodes: ReadonlyMap<string, LiveNode> = EMPTY_NODES;
  #edges: ReadonlyMap<string, LiveEdge> = EMPTY_EDGES;
  #source: EventSource | undefined;
  #address = "";
  #heardMs = 0;
  /** False until the first snapshot of a connection: where nobody watched before, it has no rates yet. */
  #isWarm = false;
  readonly #listeners: Record<Topic, Set<() => void>> = {
    status: new Set(),
    events: new Set(),
    peek: new Set(),
    connection: new Set(),
    opened: new Set(),
  };

  start(): void {
    document.addEventListener("visibilitychange", () => this.#open());
    setInterval(() => this.#watchdog(), 500);
  }

  /** Chooses what the connection carries; the same choice again changes nothing. */
  choose(parameters: Readonly<Record<string, string>>): void {
    const address = `/api/v1/live?${new URLSearchParams(parameters)}`;
    if (address === this.#address) return;
    this.#address = address;
    this.peek = undefined;
    this.#open();
  }

  on(topic: Topic, listener: () => void): () => void {
    this.#listeners[topic].add(listener);
    return () => this.#listeners[topic].delete(listener);
  }

  graph(name: string): LiveGraph | undefined {
    return this.status?.graphs.find(({ graph }) => graph === name);
  }

  /** Live numbers of the graph that is watched in full. */
  node(name: string): LiveNode | undefined {
    return this.#nodes.get(name);
  }

  edge(name: string): LiveEdge | undefined {
    return this.#edges.get(name);
  }

  /** True when the live numbers are of this topology. */
  fits({ graph, nodes, edges }: GraphStatus): boolean {
    const live = this.graph(graph);
    return live !== undefined && live.nodeCount === nodes.length && live.edgeCount === edges.length;
  }

  #open(): void {
    this.#source?.close();
    this.#source = undefined;
    this.#isWarm = false;
    if (document.hidden || this.#address === "") return;
    const source = new EventSource(this.#address);
    this.#source = source;
    // One that the browser opens again resumes where it was.
    source.addEventListener("open", () => this.#tell("opened"), { once: true });
    source.addEventListener("status", ({ data }) => this.#onStatus(JSON.parse(data) as StatusMessage));
    source.addEventListener("events", ({ data }) => {
      this.events = JSON.parse(data) as EventsMessage;
      this.#tell("events");
    });
    source.addEventListener("peek", ({ data }) => {
      this.peek = JSON.parse(data) as PeekMessage;
      this.#tell("peek");
    });
    source.addEventListener("sampled", ({ data }) => {
      this.missed += (JSON.parse(data) as { missed: number }).missed;
    });
    source.addEventListener("error", () => {
      if (this.#source === source && source.readyState === EventSource.CLOSED) this.#retry(source);
    });
  }

  /** The browser reconnects by itself, but not after an answer that is an error. */
  #retry(source: EventSource): void {
    this.#become("lost");
    setTimeout(() => {
      if (this.#source === source) this.#open();
    }, 2000);
  }

  #onStatus(message: StatusMessage): void {
    this.status = message;
    this.#heardMs = performance.now();
    const full = message.graphs.find(({ nodes }) => nodes !== undefined);
    this.#nodes = new Map(full?.nodes?.map((node) => [node.node, node]));
    this.#edges = new Map(full?.edges?.map((edge) => [edge.edge, edge]));
    if (this.#isWarm) this.histories.add(message);
    this.#isWarm = true;
    this.#become("live");
    this.#tell("status");
  }

  #watchdog(): void {
    if (document.hidden || this.connection !== "live") return;
    if (performance.now() - this.#heardMs > STALE_AFTER_MS) this.#become("lost");
  }

  #become(connection: Connection): void {
    if (this.connection === connection) return;
    this.connection = connection;
    this.#tell("connection");
  }

  #tell(topic: Topic): void {
    for (const listener of [...this.#listeners[topic]]) listener();
  }
}

export const live = new LiveStore();
