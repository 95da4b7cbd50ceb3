/**
 * Graphs in TypeScript: the same definition, checks and model as a graph file, with the compiler's help.
 *
 * @example
 * const late = graph("late-flights")
 *   .source("flights", { from: "file:./flights.parquet", time: "date", watermark: "1h" })
 *   .filter("late", { where: "event.delay >= 15" })
 *   .sink("board", { to: "projection:departures" })
 *   .build();
 */
import type { CheckOptions } from "./check.ts";
import { graphError } from "./graph-errors.ts";
import type { GraphModel } from "./model.ts";
import { resolveGraph } from "./parse.ts";
import { formatProblem } from "./problem.ts";
import type { EdgeDefinition, GraphDefinition, GraphTestDefinition } from "./schema.ts";
import type {
  CalculatorDefinition,
  EnrichDefinition,
  FilterDefinition,
  MapDefinition,
  MergeDefinition,
  NodeDefinition,
  SinkDefinition,
  SourceDefinition,
  SwitchDefinition,
  WindowDefinition,
} from "./schema-node.ts";

/** What a node says beside its kind and inputs, which the builder knows. */
type Options<D extends NodeDefinition> = Omit<D, "kind" | "input" | "inputs">;

export type GraphOptions = Omit<GraphDefinition, "name" | "nodes" | "edges" | "tests">;

export function graph(name: string, options: GraphOptions = {}): GraphBuilder {
  return new GraphBuilder(name, options);
}

export class GraphBuilder {
  readonly #name: string;
  readonly #options: GraphOptions;
  readonly #nodes = new Map<string, NodeDefinition>();
  readonly #edges: Record<string, EdgeDefinition> = {};
  readonly #tests: GraphTestDefinition[] = [];

  constructor(name: string, options: GraphOptions) {
    this.#name = name;
    this.#options = options;
  }

  source(name: string, options: Options<SourceDefinition>): NodeOutput {
    return this.node(name, { kind: "source", ...options });
  }

  merge(name: string, inputs: readonly NodeOutput[], options: Options<MergeDefinition> = {}): NodeOutput {
    return this.node(name, { kind: "merge", inputs: inputs.map((input) => input.reference), ...options });
  }

  /** Any node, as a file would say it. Throws `GRAPH-DUP` when the name is taken. */
  node(name: string, definition: NodeDefinition): NodeOutput {
    if (this.#nodes.has(name))
      throw graphError("GRAPH-DUP", `node \`${name}\` is defined twice`, { place: { graph: this.#name, node: name } });
    this.#nodes.set(name, definition);
    return new NodeOutput(this, name);
  }

  /** The output of a node by its name, also of one that comes later: for feedback. */
  output(name: string, port = "out"): NodeOutput {
    return new NodeOutput(this, port === "out" ? name : `${name}.${port}`);
  }

  edge(from: NodeOutput, to: string, settings: EdgeDefinition): this {
    this.#edges[`${from.reference} -> ${to}`] = settings;
    return this;
  }

  test(test: GraphTestDefinition): this {
    this.#tests.push(test);
    return this;
  }

  definition(): GraphDefinition {
    return {
      name: this.#name,
      ...this.#options,
      nodes: Object.fromEntries(this.#nodes),
      ...(Object.keys(this.#edges).length > 0 ? { edges: this.#edges } : {}),
      ...(this.#tests.length > 0 ? { tests: this.#tests } : {}),
    };
  }

  /** Throws `GRAPH-INVALID` with all `problems` in the details. */
  build(options: CheckOptions = {}): GraphModel {
    const result = resolveGraph(this.definition(), options);
    if ("graph" in result) return result.graph;
    const { problems } = result;
    const lines = problems.map((problem) => formatProblem({ file: this.#name, ...problem }));
    throw graphError("GRAPH-INVALID", lines.join("\n"), { place: { graph: this.#name }, details: { problems } });
  }
}

/** What comes out of a node on one port. Each method adds a node that takes it. */
export class NodeOutput {
  readonly builder: GraphBuilder;
  /** As a file would write it under `input`. */
  readonly reference: string;

  constructor(builder: GraphBuilder, reference: string) {
    this.builder = builder;
    this.reference = reference;
  }

  filter(name: string, options: Options<FilterDefinition>, edge?: EdgeDefinition): NodeOutput {
    return this.#into(name, { kind: "filter", input: this.reference, ...options }, edge);
  }

  map(name: string, options: Options<MapDefinition>, edge?: EdgeDefinition): NodeOutput {
    return this.#into(name, { kind: "map", input: this.reference, ...options }, edge);
  }

  enrich(name: string, options: Options<EnrichDefinition>, edge?: EdgeDefinition): NodeOutput {
    return this.#into(name, { kind: "enrich", input: this.reference, ...options }, edge);
  }

  window(name: string, options: Options<WindowDefinition>, edge?: EdgeDefinition): NodeOutput {
    return this.#into(name, { kind: "window", input: this.reference, ...options }, edge);
  }

  calculator(name: string, options: Options<CalculatorDefinition>, edge?: EdgeDefinition): NodeOutput {
    return this.#into(name, { kind: "calculator", input: this.reference, ...options }, edge);
  }

  /** Its ports are taken with {@link port}. */
  switch(name: string, options: Options<SwitchDefinition>, edge?: EdgeDefinition): NodeOutput {
    return this.#into(name, { kind: "switch", input: this.reference, ...options }, edge);
  }

  /** Answers this same output, so that several sinks can follow. */
  sink(name: string, options: Options<SinkDefinition>, edge?: EdgeDefinition): this {
    this.#into(name, { kind: "sink", input: this.reference, ...options }, edge);
    return this;
  }

  /** Another port of the same node: a case of a switch, `late` of a window. */
  port(port: string): NodeOutput {
    return this.builder.output(this.reference.split(".", 1)[0] as string, port);
  }

  build(options: CheckOptions = {}): GraphModel {
    return this.builder.build(options);
  }

  #into(name: string, definition: NodeDefinition, edge: EdgeDefinition | undefined): NodeOutput {
    const output = this.builder.node(name, definition);
    if (edge !== undefined) this.builder.edge(this, name, edge);
    return output;
  }
}
