/** Which streams of graphs have events in what would be pruned, or had some in what was. */
import type { EventLog } from "@millrace/engine";
import { streamOf } from "@millrace/engine";
import type { EmbeddedLog } from "@millrace/streams/embedded";
import { GRAPHS_STREAM, graphStreamOf } from "../host/graph-stream.ts";

interface StreamsOfGraph {
  /** Of nodes, sources and lanes to other hosts, in the order in which they began. */
  readonly nodes: readonly string[];
  /** Of the oldest event of the graph that can still be read; the end when it has none below it. */
  readonly firstPosition: number;
}

export class GraphStreams {
  readonly #firsts: ReadonlyMap<string, number>;
  readonly #end: number;

  private constructor(firsts: ReadonlyMap<string, number>, end: number) {
    this.#firsts = firsts;
    this.#end = end;
  }

  static async below(log: Pick<EmbeddedLog, "retention" | "base"> & EventLog, end: number): Promise<GraphStreams> {
    const firsts = new Map<string, number>();
    for (const stream of await log.retention.carriedStreams()) firsts.set(stream, end);
    for await (const events of log.read({ from: log.base, limit: end - log.base })) {
      for (const { stream, position, context } of events) {
        const isCarried = firsts.get(stream) === end;
        if (context.graph !== "" && stream !== GRAPHS_STREAM && (isCarried || !firsts.has(stream)))
          firsts.set(stream, position);
      }
    }
    return new GraphStreams(firsts, end);
  }

  of(graph: string): StreamsOfGraph {
    const prefix = streamOf(graph, "");
    const own = graphStreamOf(graph);
    const nodes = [...this.#firsts.keys()].filter((stream) => stream.startsWith(prefix) && stream !== own);
    const firsts = [own, ...nodes].map((stream) => this.#firsts.get(stream) ?? this.#end);
    return { nodes, firstPosition: Math.min(...firsts) };
  }
}
