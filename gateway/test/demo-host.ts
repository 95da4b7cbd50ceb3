/** The flights graph and a large one as they would move: counters follow the clock, so that a console has something to show. */
import type { EdgeStatus, Json, NodeStatus, PeekedMessage } from "@millrace/engine";
import type { ArrayLog } from "./array-log.ts";
import { edgeStatus, FakeHost, graphStatus, nodeStatus } from "./fake-host.ts";
import type { FakeProjections } from "./fake-reads.ts";

export const FLIGHTS_FILE = `name: late-flights
nodes:
  flights:    { kind: source, from: "file:./flights-3m.parquet", time: date, watermark: 1h }
  late:       { kind: filter, input: flights, where: "event.delay >= 15" }
  located:    { kind: enrich, input: late, table: "file:./airports.csv", key: event.origin, on: iata, as: airport }
  by-airport: { kind: window, input: located, tumbling: 1h, by: { origin: event.origin },
                compute: { flights: count(), mean_delay: avg(event.delay), worst: max(event.delay) } }
  scored:     { kind: calculator, input: by-airport, use: ./score.ts }
  board:      { kind: sink, input: scored, to: "projection:departures" }
  file:       { kind: sink, input: scored, to: "file:./departures.ndjson" }
`;

const ORIGINS = ["ATL", "ORD", "DFW", "LAX", "PHX", "STL", "DTW", "MSP", "LAS", "BOS", "DEN", "IAH"];
const NAMES = [
  "William B Hartsfield-Atlanta",
  "Chicago O'Hare",
  "Dallas-Fort Worth",
  "Los Angeles",
  "Phoenix Sky Harbor",
];

/** Messages per second on each edge of the flights graph. */
const RATES: Readonly<Record<string, number>> = {
  "flights -> late": 412_000,
  "late -> located": 86_200,
  "located -> by-airport": 86_200,
  "by-airport -> scored": 27_300,
  "scored -> board": 27_300,
  "scored -> file": 27_300,
};

const FILLS: Readonly<Record<string, number>> = {
  "located -> by-airport": 0.74,
  "by-airport -> scored": 0.22,
  "flights -> late": 0.08,
};

export class DemoHost extends FakeHost {
  readonly #log: ArrayLog;
  readonly #projections: FakeProjections;
  readonly #startedMs = Date.now() - 60_000;
  #rows = new Map<string, { origin: string; flights: number; delay: number }>();

  constructor(log: ArrayLog, projections: FakeProjections) {
    super();
    this.#log = log;
    this.#projections = projections;
    this.sources.set("late-flights", FLIGHTS_FILE);
    this.messages = (_graph, edge) => Array.from({ length: 8 }, (_, i) => this.#message(edge, i));
    this.advance(0);
  }

  /** Brings every counter to where it is `seconds` after the start. */
  advance(seconds: number): void {
    const wave = 1 + 0.12 * Math.sin(seconds / 3) + 0.05 * Math.sin(seconds * 2.1);
    const total = (edge: string): number =>
      Math.round((RATES[edge] ?? 0) * (seconds + 0.36 * (1 - Math.cos(seconds / 3))));
    const edges = Object.keys(RATES).map((name) => this.#edge(name, total(name), wave));
    const input = (node: string): number =>
      edges.filter(({ to }) => to === node).reduce((sum, { messages }) => sum + messages, 0);
    const node = (name: string, kind: string, busy: number, more: Partial<NodeStatus> = {}): NodeStatus =>
      nodeStatus(name, kind, {
        messagesIn: input(name),
        messagesOut: total(Object.keys(RATES).find((edge) => edge.startsWith(`${name} ->`)) ?? ""),
        busyMs: seconds * 1000 * busy,
        steps: Math.round(seconds * 80),
        watermarkMs: 981_849_600_000 + seconds * 3_600_000,
        ...more,
      });
    const nodes = [
      node("flights", "source", 0.24),
      node("late", "filter", 0.12),
      node("located", "enrich", 0.21),
      node("by-airport", "window", 0.61, { pressure: "cpu" }),
      node("scored", "calculator", 0.22, {
        deadLettered: 3,
        details: { isolation: "thread", healthy: true, restarts: 0, details: { threshold: 15 } },
      }),
      node("board", "sink", 0.1, { guarantee: "exactly-once" }),
      node("file", "sink", 0.06, { guarantee: "exactly-once" }),
    ];
    this.add(
      graphStatus("late-flights", nodes, edges, {
        startedMs: this.#startedMs,
        messagesIn: total("flights -> late"),
        messagesOut: total("scored -> board") + total("scored -> file"),
        deadLettered: 3,
        commitP99Ms: 4.6 * wave,
        position: this.#log.durableEnd,
      }),
    );
    this.#telemetry(seconds);
    this.#logSteps(nodes);
    this.#fold(seconds);
    const edge = Object.keys(RATES)[Math.floor(seconds * 4) % 6] as string;
    for (const name of [edge, ...Object.keys(RATES)]) this.emit([this.#message(name, 0)]);
  }

  /** Moves with the clock until the answer is called. */
  run(): () => void {
    const start = performance.now();
    const timer = setInterval(() => this.advance((performance.now() - start) / 1000), 50);
    return () => clearInterval(timer);
  }

  #edge(name: string, messages: number, wave: number): EdgeStatus {
    const [from = "", to = ""] = name.split(" -> ");
    const depth = Math.min(1024, Math.round(1024 * (FILLS[name] ?? 0.01) * wave));
    return edgeStatus(from, to, {
      messages,
      frames: Math.round(messages / 1024),
      depth,
      oldestMs: depth / 240,
      watermarkMs: 981_849_600_000,
    });
  }

  #telemetry(seconds: number): void {
    const messages = Math.round(seconds * 4);
    this.add(
      graphStatus(
        "host-telemetry",
        [nodeStatus("host", "source"), nodeStatus("minute", "window"), nodeStatus("load", "sink")],
        [
          edgeStatus("host", "minute", { messages }),
          edgeStatus("minute", "load", { messages: Math.round(messages / 60) }),
        ],
        { revision: 1, messagesIn: messages, messagesOut: Math.round(messages / 60), commitP99Ms: 1.8 },
      ),
    );
  }

  #logSteps(nodes: readonly NodeStatus[]): void {
    const node = nodes[this.#log.durableEnd % nodes.length]?.node ?? "";
    const payload = {
      inputs: [{ lane: "flights/0", from: 10, to: 1034 }],
      emitted: 212,
      origin: ORIGINS[this.#log.durableEnd % 12],
    };
    this.#log.add({
      type: "Step",
      stream: `node/late-flights/${node}`,
      graph: "late-flights",
      node,
      timeMs: Date.now(),
      payload,
    });
  }

  #fold(seconds: number): void {
    const origin = ORIGINS[Math.floor(seconds * 7) % ORIGINS.length] as string;
    const before = this.#rows.get(origin) ?? { origin, flights: 0, delay: 30 };
    this.#rows.set(origin, { origin, flights: before.flights + 1, delay: before.delay + Math.sin(seconds) });
    const rows = ORIGINS.flatMap((name) => {
      const row = this.#rows.get(name);
      if (!row) return [];
      const window_start = new Date(981_849_600_000 + row.flights * 3_600_000).toISOString();
      return [
        {
          origin: name,
          window_start,
          flights: row.flights,
          mean_delay: row.delay,
          worst: 96 + row.flights,
          score: row.delay / 7,
          airport: { iata: name, state: "GA" },
        },
      ];
    });
    this.#projections.set("departures", this.#log.durableEnd, rows);
  }

  #message(edge: string, i: number): PeekedMessage {
    const pos = this.#log.durableEnd * 1024 - i * 5;
    const n = Math.abs(pos >> 3);
    const flight: Json = {
      origin: ORIGINS[n % 12] as string,
      destination: ORIGINS[(n * 7) % 12] as string,
      delay: (n * 13) % 140,
      distance: 200 + ((n * 71) % 2200),
    };
    const value: Json = edge.startsWith("located")
      ? { ...flight, airport: { name: NAMES[n % 5] as string, state: "GA" } }
      : flight;
    return { edge, pos, ord: 0, atMs: Date.now(), value };
  }
}

/** A graph of many nodes in layers, each with several inputs; every counter moves. */
export function addLargeGraph(host: FakeHost, nodeCount: number, edgeCount: number, seconds: number): void {
  const layers = 20;
  const perLayer = Math.ceil(nodeCount / layers);
  const nodes = Array.from({ length: nodeCount }, (_, i) =>
    nodeStatus(`node-${i}`, ["map", "filter", "window", "calculator"][i % 4] as string),
  );
  const edges = Array.from({ length: edgeCount }, (_, i) => {
    const from = (i * 7919) % (nodeCount - perLayer);
    const to = (Math.floor(from / perLayer) + 1) * perLayer + ((i * 104_729) % perLayer);
    const depth = (i * 37 + Math.floor(seconds * 40)) % 1024;
    const edge = edgeStatus(`node-${from}`, `node-${Math.min(to, nodeCount - 1)}`, {
      messages: Math.round(seconds * (100 + (i % 50) * 97)),
      depth,
    });
    return { ...edge, edge: `${edge.edge} #${i}` };
  });
  host.add(graphStatus("large", nodes, edges, { revision: 1 }));
}
