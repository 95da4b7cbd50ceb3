/**
 * Dead letters that were sent again, as a source: `DeadLetterRedriven` events of the graph's stream, with their revisions as
 * offsets. So a redriven message is durable before it moves, is read again after a crash, and takes effect once.
 */
import {
  Positions,
  type RecordedEvent,
  RowBatch,
  type SourceBatch,
  type SourceConnector,
  type SourceReader,
} from "@millrace/engine";
import { type GraphStream, redrivenOf } from "./graph-stream.ts";

/** Name of the source that feeds `node` again. No node of a graph file can be called so. */
export function redriveSourceOf(node: string): string {
  return `${node}~redrive`;
}

/** `isBounded`: the source ends with what the stream holds, for runs that end. */
export function redriveSource(stream: GraphStream, node: string, isBounded: boolean): SourceConnector {
  return {
    capabilities: { replay: true, ordered: true, bounded: isBounded },
    partitions: () => Promise.resolve(["0"]),
    open: (_partition, after) => Promise.resolve(new RedriveReader(stream, node, isBounded, after)),
  };
}

class RedriveReader implements SourceReader {
  readonly #stream: GraphStream;
  readonly #node: string;
  readonly #isBounded: boolean;
  readonly #stop = new AbortController();
  #after: number;
  #toldIdle = false;

  constructor(stream: GraphStream, node: string, isBounded: boolean, after: number) {
    this.#stream = stream;
    this.#node = node;
    this.#isBounded = isBounded;
    this.#after = after;
  }

  async read(): Promise<SourceBatch | "idle" | "end"> {
    const { appends } = this.#stream;
    const events = await this.#stream.redriven(this.#node, this.#after);
    if (events.length > 0) return this.#batch(events);
    if (this.#isBounded) return "end";
    if (this.#toldIdle) await this.#stream.appended(appends, this.#stop.signal);
    this.#toldIdle = true;
    return "idle";
  }

  async close(): Promise<void> {
    this.#stop.abort();
  }

  #batch(events: readonly RecordedEvent[]): SourceBatch {
    this.#toldIdle = false;
    const offsets = Float64Array.from(events.map(({ revision }) => revision));
    this.#after = offsets.at(-1) as number;
    const batch = new RowBatch(events.map((event) => redrivenOf(event).input));
    return { batch, positions: Positions.of(offsets), through: this.#after, rejected: [] };
  }
}
