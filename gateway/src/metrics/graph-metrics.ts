/**
 * The `millrace_*` families of graphs, nodes, edges and the log, read from their status when somebody scrapes. Labels come
 * from graph files only, never from data, and their number is bounded.
 */
import type { EventLog, GraphHost, GraphState, GraphStatus } from "@millrace/engine";
import { Counter, Gauge, type Registry } from "prom-client";
import type { ProjectionReader } from "../ports.ts";

/** Nodes and edges over all graphs that get their own series; the rest is counted in `millrace_series_omitted`. */
const SERIES_MAX = 4000;

const GRAPH_STATES: readonly GraphState[] = [
  "starting",
  "running",
  "suspended",
  "draining",
  "finished",
  "stopped",
  "failed",
];

type Labels = Readonly<Record<string, string>>;
type Reading = readonly [Labels, number];

interface Family {
  readonly name: string;
  readonly help: string;
  readonly kind: "counter" | "gauge";
  readonly labels: readonly string[];
  readonly read: (graphs: readonly GraphStatus[]) => Iterable<Reading>;
}

const ofGraphs = (value: (graph: GraphStatus) => number | null) =>
  function* (graphs: readonly GraphStatus[]): Generator<Reading> {
    for (const graph of graphs) {
      const read = value(graph);
      if (read !== null) yield [{ graph: graph.graph }, read];
    }
  };

const ofNodes = (value: (node: GraphStatus["nodes"][number]) => number | null) =>
  function* (graphs: readonly GraphStatus[]): Generator<Reading> {
    for (const { graph, nodes } of graphs) {
      for (const node of nodes) {
        const read = value(node);
        if (read !== null) yield [{ graph, node: node.node, kind: node.kind }, read];
      }
    }
  };

const ofEdges = (value: (edge: GraphStatus["edges"][number]) => number | null) =>
  function* (graphs: readonly GraphStatus[]): Generator<Reading> {
    for (const { graph, edges } of graphs) {
      for (const edge of edges) {
        const read = value(edge);
        if (read !== null) yield [{ graph, edge: edge.edge, via: edge.via }, read];
      }
    }
  };

const graph = ["graph"];
const node = ["graph", "node", "kind"];
const edge = ["graph", "edge", "via"];
const seconds = (ms: number | null): number | null => (ms === null ? null : ms / 1000);

const FAMILIES: readonly Family[] = [
  {
    name: "millrace_graph_messages_in_total",
    help: "Messages read by sources.",
    kind: "counter",
    labels: graph,
    read: ofGraphs((g) => g.messagesIn),
  },
  {
    name: "millrace_graph_messages_out_total",
    help: "Messages delivered by sinks.",
    kind: "counter",
    labels: graph,
    read: ofGraphs((g) => g.messagesOut),
  },
  {
    name: "millrace_graph_dead_lettered_total",
    help: "Messages that became dead letters.",
    kind: "counter",
    labels: graph,
    read: ofGraphs((g) => g.deadLettered),
  },
  {
    name: "millrace_graph_dropped_total",
    help: "Messages dropped by declared policy.",
    kind: "counter",
    labels: graph,
    read: ofGraphs((g) => g.dropped),
  },
  {
    name: "millrace_graph_commit_p99_seconds",
    help: "99th percentile of arrival to durable, last ten seconds.",
    kind: "gauge",
    labels: graph,
    read: ofGraphs((g) => seconds(g.commitP99Ms)),
  },
  {
    name: "millrace_graph_revision",
    help: "Running revision of a graph.",
    kind: "gauge",
    labels: graph,
    read: ofGraphs((g) => g.revision),
  },
  {
    name: "millrace_graph_state",
    help: "1 for the state a graph is in.",
    kind: "gauge",
    labels: ["graph", "state"],
    *read(graphs) {
      for (const one of graphs)
        for (const state of GRAPH_STATES) yield [{ graph: one.graph, state }, one.state === state ? 1 : 0];
    },
  },
  {
    name: "millrace_node_messages_in_total",
    help: "Messages taken by a node.",
    kind: "counter",
    labels: node,
    read: ofNodes((n) => n.messagesIn),
  },
  {
    name: "millrace_node_messages_out_total",
    help: "Messages put out by a node.",
    kind: "counter",
    labels: node,
    read: ofNodes((n) => n.messagesOut),
  },
  {
    name: "millrace_node_consumed_total",
    help: "Messages consumed on purpose without output.",
    kind: "counter",
    labels: node,
    read: ofNodes((n) => n.consumed),
  },
  {
    name: "millrace_node_dropped_total",
    help: "Messages a node dropped by declared policy.",
    kind: "counter",
    labels: node,
    read: ofNodes((n) => n.dropped),
  },
  {
    name: "millrace_node_dead_lettered_total",
    help: "Messages that failed at a node for good.",
    kind: "counter",
    labels: node,
    read: ofNodes((n) => n.deadLettered),
  },
  {
    name: "millrace_node_restarts_total",
    help: "Restarts by the supervisor.",
    kind: "counter",
    labels: node,
    read: ofNodes((n) => n.restarts),
  },
  {
    name: "millrace_node_steps_total",
    help: "Steps committed.",
    kind: "counter",
    labels: node,
    read: ofNodes((n) => n.steps),
  },
  {
    name: "millrace_node_steps_in_flight",
    help: "Steps appended and not yet durable.",
    kind: "gauge",
    labels: node,
    read: ofNodes((n) => n.stepsInFlight),
  },
  {
    name: "millrace_node_busy_seconds_total",
    help: "CPU time of a behavior.",
    kind: "counter",
    labels: node,
    read: ofNodes((n) => seconds(n.busyMs)),
  },
  {
    name: "millrace_node_blocked_seconds_total",
    help: "Time with input but without credit.",
    kind: "counter",
    labels: node,
    read: ofNodes((n) => seconds(n.blockedMs)),
  },
  {
    name: "millrace_node_up",
    help: "1 while a node runs or waits, 0 when it is parked, backing off or stopped; none of nodes of other hosts.",
    kind: "gauge",
    labels: node,
    read: ofNodes((n) =>
      n.isElsewhere === true ? null : /^(?:starting|running|waiting|finished)$/.test(n.state) ? 1 : 0,
    ),
  },
  {
    name: "millrace_node_watermark_seconds",
    help: "Event time a node has reached, seconds since 1970.",
    kind: "gauge",
    labels: node,
    read: ofNodes((n) => seconds(n.watermarkMs)),
  },
  {
    name: "millrace_edge_messages_total",
    help: "Messages handed over on an edge.",
    kind: "counter",
    labels: edge,
    read: ofEdges((e) => e.messages),
  },
  {
    name: "millrace_edge_dropped_total",
    help: "Messages an edge dropped by declared policy.",
    kind: "counter",
    labels: edge,
    read: ofEdges((e) => e.dropped),
  },
  {
    name: "millrace_edge_depth",
    help: "Messages waiting in the receiver's mailbox.",
    kind: "gauge",
    labels: edge,
    read: ofEdges((e) => e.depth),
  },
  {
    name: "millrace_edge_capacity",
    help: "Room in the receiver's mailbox.",
    kind: "gauge",
    labels: edge,
    read: ofEdges((e) => e.capacity),
  },
  {
    name: "millrace_edge_oldest_seconds",
    help: "Age of the oldest waiting message.",
    kind: "gauge",
    labels: edge,
    read: ofEdges((e) => seconds(e.oldestMs)),
  },
  {
    name: "millrace_edge_aligning_lanes",
    help: "Lanes that wait because they are ahead of another input in event time.",
    kind: "gauge",
    labels: edge,
    read: ofEdges((e) => e.aligning?.lanes ?? 0),
  },
];

/** Registers the families. A registry takes them once. */
export function registerGraphMetrics(registry: Registry, host: GraphHost): void {
  for (const family of FAMILIES) registerFamily(registry, family, () => bounded(host.list()).graphs);
  new Gauge({
    name: "millrace_graphs",
    help: "Graphs of this host by state.",
    labelNames: ["state"],
    registers: [registry],
    collect() {
      const graphs = host.list();
      for (const state of GRAPH_STATES) this.set({ state }, graphs.filter((one) => one.state === state).length);
    },
  });
  new Gauge({
    name: "millrace_series_omitted",
    help: "Nodes and edges beyond the bound on series.",
    registers: [registry],
    collect() {
      this.set(bounded(host.list()).omitted);
    },
  });
}

export function registerLogMetrics(registry: Registry, log: EventLog): void {
  new Gauge({
    name: "millrace_log_position",
    help: "Position after the newest durable event.",
    registers: [registry],
    collect() {
      this.set(log.durableEnd);
    },
  });
}

export function registerProjectionMetrics(registry: Registry, projections: ProjectionReader): void {
  new Gauge({
    name: "millrace_projection_lag_events",
    help: "Events a projection has not folded yet.",
    labelNames: ["projection"],
    registers: [registry],
    async collect() {
      this.reset();
      for (const { name, lag } of await projections.list()) this.set({ projection: name }, lag);
    },
  });
}

function registerFamily(
  registry: Registry,
  { name, help, kind, labels, read }: Family,
  graphs: () => readonly GraphStatus[],
): void {
  const common = { name, help, labelNames: [...labels], registers: [registry] };
  if (kind === "gauge") {
    new Gauge({
      ...common,
      collect() {
        this.reset();
        for (const [of, value] of read(graphs())) this.set({ ...of }, value);
      },
    });
    return;
  }
  new Counter({
    ...common,
    collect() {
      this.reset();
      for (const [of, value] of read(graphs())) this.inc({ ...of }, value);
    },
  });
}

/** Graphs cut to the bound on series; what is left out is counted. */
function bounded(graphs: readonly GraphStatus[]): {
  readonly graphs: readonly GraphStatus[];
  readonly omitted: number;
} {
  let left = SERIES_MAX;
  let omitted = 0;
  const cut = graphs.map((status) => {
    const nodes = status.nodes.slice(0, left);
    left -= nodes.length;
    const edges = status.edges.slice(0, left);
    left -= edges.length;
    omitted += status.nodes.length - nodes.length + status.edges.length - edges.length;
    return nodes.length === status.nodes.length && edges.length === status.edges.length
      ? status
      : { ...status, nodes, edges };
  });
  return { graphs: cut, omitted };
}
