/** The messages of one edge for one watcher: at most fifty a second, with the ratio to what really crossed. */
import type { GraphHost, PeekedMessage } from "@millrace/engine";
import type { Snapshot } from "./live-status.ts";

export const PEEK_PER_SECOND = 50;
/** Messages per beat of 250 ms. */
const PER_BEAT = Math.ceil(PEEK_PER_SECOND / 4);

export interface PeekTarget {
  readonly graph: string;
  readonly edge: string;
}

export interface PeekMessage extends PeekTarget {
  /** Newest first. */
  readonly messages: readonly PeekedMessage[];
  /** Messages that crossed the edge since the message before. */
  readonly crossed: number;
  /** Rate of the edge, messages per second. */
  readonly rate: number;
}

export class PeekSampler {
  readonly #host: GraphHost;
  readonly #target: PeekTarget;
  #waiting: PeekedMessage[];
  #counted: number | undefined;

  constructor(host: GraphHost, target: PeekTarget) {
    this.#host = host;
    this.#target = target;
    this.#waiting = [...host.recent(target.graph, target.edge)].slice(0, PER_BEAT);
  }

  /** Takes samples until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { graph, edge } = this.#target;
    for await (const batch of this.#host.peek(graph, edge, PEEK_PER_SECOND, signal)) {
      // Newest first, as the host gives them.
      this.#waiting = [...batch, ...this.#waiting].slice(0, PER_BEAT);
    }
  }

  /** What was sampled since the call before, or `undefined` when nothing was. */
  next({ graphs }: Snapshot): PeekMessage | undefined {
    if (this.#waiting.length === 0) return undefined;
    const live = graphs
      .find(({ graph }) => graph === this.#target.graph)
      ?.edges.find(({ edge }) => edge === this.#target.edge);
    const messages = this.#waiting;
    this.#waiting = [];
    const total = live?.messages ?? 0;
    const crossed = this.#counted === undefined || total < this.#counted ? messages.length : total - this.#counted;
    this.#counted = total;
    return { ...this.#target, messages, crossed: Math.max(crossed, messages.length), rate: live?.rate ?? 0 };
  }
}
