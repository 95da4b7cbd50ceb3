import type {
  AppendResult,
  EventFilter,
  EventLog,
  ReadOptions,
  RecordedEvent,
  StreamAppend,
  SubscribeOptions,
  SubscriptionBatch,
} from "@millrace/engine";

/** An event log as plain data, for tests of what reads one. */
export class ArrayLog implements EventLog {
  readonly id = "0".repeat(32);
  readonly appendBytesMax = 1 << 20;
  readonly events: RecordedEvent[] = [];
  #wake: (() => void)[] = [];
  #failure: Error | undefined;

  get durableEnd(): number {
    return this.events.length;
  }

  /** Adds an event whose payload is the JSON text of `payload`. */
  add(event: {
    type: string;
    stream: string;
    graph?: string;
    node?: string;
    timeMs?: number;
    payload?: unknown;
  }): void {
    const { type, stream, graph = "", node = "", timeMs = 1_700_000_000_000, payload = {} } = event;
    const position = this.events.length;
    this.events.push({
      id: idOf(position),
      type,
      schemaVersion: 1,
      context: {
        causationId: idOf(position),
        correlationId: idOf(Math.floor(position / 10)),
        principal: "system",
        tenant: "",
        codeVersion: "test",
        graph,
        graphRevision: graph === "" ? 0 : 1,
        node,
        epoch: 1,
      },
      payload: new TextEncoder().encode(JSON.stringify(payload)),
      position,
      stream,
      revision: this.events.filter((one) => one.stream === stream).length,
      timeMs,
    });
    for (const wake of this.#wake.splice(0)) wake();
  }

  append(_appends: readonly StreamAppend[]): Promise<AppendResult> {
    return Promise.reject(new Error("this log is read only"));
  }

  failNextRead(failure: Error): void {
    this.#failure = failure;
  }

  async *read(options: ReadOptions = {}): AsyncIterable<readonly RecordedEvent[]> {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure;
    yield select(this.events, ({ position }) => position, options);
  }

  async *readStream(stream: string, options: ReadOptions = {}): AsyncIterable<readonly RecordedEvent[]> {
    const own = this.events.filter((event) => event.stream === stream);
    yield select(own, ({ revision }) => revision, options);
  }

  async head(stream: string): Promise<number> {
    return this.events.filter((event) => event.stream === stream).length - 1;
  }

  async *subscribe({ from = 0, filter, signal }: SubscribeOptions): AsyncIterable<SubscriptionBatch> {
    let at = from;
    while (!signal.aborted) {
      const end = Math.min(this.events.length, at + 100);
      const events = this.events.slice(at, end).filter((event) => passes(event, filter));
      if (end > at) yield { events, end, live: end === this.events.length };
      else await this.#grown(signal);
      at = Math.max(at, end);
    }
  }

  async close(): Promise<void> {}

  #grown(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.#wake.push(resolve);
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
  }
}

const idOf = (position: number): Uint8Array => {
  const id = new Uint8Array(16);
  new DataView(id.buffer).setUint32(12, position + 1);
  return id;
};

function select(
  events: readonly RecordedEvent[],
  place: (event: RecordedEvent) => number,
  { from, direction = "forward", limit = Number.POSITIVE_INFINITY, filter }: ReadOptions,
): readonly RecordedEvent[] {
  const ordered = direction === "forward" ? events : [...events].reverse();
  const start = from ?? (direction === "forward" ? 0 : Number.POSITIVE_INFINITY);
  const kept = ordered.filter((event) => (direction === "forward" ? place(event) >= start : place(event) <= start));
  return kept.filter((event) => passes(event, filter)).slice(0, limit);
}

function passes(event: RecordedEvent, filter: EventFilter | undefined): boolean {
  if (!filter) return true;
  const { streamPrefix, types, graph, node, correlationId } = filter;
  return (
    (streamPrefix === undefined || event.stream.startsWith(streamPrefix)) &&
    (types === undefined || types.includes(event.type)) &&
    (graph === undefined || event.context.graph === graph) &&
    (node === undefined || event.context.node === node) &&
    (correlationId === undefined || Buffer.compare(event.context.correlationId, correlationId) === 0)
  );
}
