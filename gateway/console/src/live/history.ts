/** The last quarter of an hour of each graph, kept by this page: rates, and what happened. */
import type { LiveGraph, StatusMessage } from "./live-types.ts";

const POINTS_MAX = 3600;
const MARKS_MAX = 200;

export interface Mark {
  readonly atMs: number;
  readonly kind: "revision" | "restart" | "dead-letter" | "state";
  readonly text: string;
}

export class GraphHistory {
  readonly atMs: number[] = [];
  readonly inRate: number[] = [];
  readonly outRate: number[] = [];
  readonly marks: Mark[] = [];
  #before: LiveGraph | undefined;
  #restarts: number | undefined;

  add(atMs: number, graph: LiveGraph): void {
    this.atMs.push(atMs);
    this.inRate.push(graph.inRate);
    this.outRate.push(graph.outRate);
    if (this.atMs.length > POINTS_MAX) for (const list of [this.atMs, this.inRate, this.outRate]) list.splice(0, 60);
    if (this.#before) this.#compare(atMs, this.#before, graph);
    this.#before = graph;
    this.#countRestarts(atMs, graph);
  }

  #compare(atMs: number, before: LiveGraph, now: LiveGraph): void {
    if (now.revision !== before.revision) this.#mark(atMs, "revision", `rev ${now.revision} applied`);
    if (now.state !== before.state) this.#mark(atMs, "state", now.state);
    const dead = now.deadLettered - before.deadLettered;
    if (dead > 0) this.#mark(atMs, "dead-letter", `${dead} dead ${dead === 1 ? "letter" : "letters"}`);
  }

  #countRestarts(atMs: number, { nodes }: LiveGraph): void {
    if (!nodes) return;
    const restarts = nodes.reduce((sum, node) => sum + node.restarts, 0);
    if (this.#restarts !== undefined && restarts > this.#restarts) this.#mark(atMs, "restart", "restart");
    this.#restarts = restarts;
  }

  #mark(atMs: number, kind: Mark["kind"], text: string): void {
    this.marks.push({ atMs, kind, text });
    if (this.marks.length > MARKS_MAX) this.marks.shift();
  }
}

export class Histories {
  readonly #byGraph = new Map<string, GraphHistory>();

  add({ atMs, graphs }: StatusMessage): void {
    for (const graph of graphs) this.of(graph.graph).add(atMs, graph);
  }

  of(graph: string): GraphHistory {
    const found = this.#byGraph.get(graph) ?? new GraphHistory();
    this.#byGraph.set(graph, found);
    return found;
  }
}
