/** The live stream: one connection for everything a page shows. */
import type { Static } from "typebox";
import { gatewayError } from "../errors.ts";
import { eventHead } from "../event-json.ts";
import { EventTail } from "../live/event-tail.ts";
import type { Beat } from "../live/live-feed.ts";
import { PeekSampler, type PeekTarget } from "../live/peek-sampler.ts";
import { SseStream } from "../live/sse-stream.ts";
import { LiveHeaders, LiveQuery } from "../schema/live.ts";
import { problemResponses } from "../schema/problem.ts";
import { eventFilter } from "./events.ts";
import { type App, graphOf, type RouteContext, requireEdge } from "./route-context.ts";

const STREAMS_MAX = 64;

type Query = Static<typeof LiveQuery>;

const DESCRIPTION = `Server-sent events; \`id:\` is a log position, and \`Last-Event-ID\` resumes after it.
\`status\`: snapshots with rates at 4 Hz. \`events\`: \`{events, skipped, end}\`, at most 50 a beat, oldest first.
\`peek\`: \`{graph, edge, messages, crossed, rate}\`, at most 50 messages a second, of \`crossed\`.
\`sampled\`: how many snapshots a slow reader missed.`;

export function liveRoutes(app: App, context: RouteContext): void {
  app.get(
    "/api/v1/live",
    {
      ...STREAMING,
      schema: {
        tags: ["live"],
        summary: "Status, newest events and samples as they come",
        description: DESCRIPTION,
        querystring: LiveQuery,
        headers: LiveHeaders,
        response: { 200: eventStream, ...problemResponses },
      },
    },
    (request, reply) => {
      const { query } = request;
      if (query.graph !== undefined) graphOf(context, query.graph);
      const target = query.peek === undefined ? undefined : peekTarget(context, query.peek);
      const lastId = request.headers["last-event-id"];
      const end = context.deps.log.durableEnd;
      // An id beyond the end is of a log that this one took the place of: what it numbers is not here.
      const from = lastId === undefined ? end : Math.min(end, Number(lastId) + 1);
      const stream = openStream(context, new SseStream(reply, context.deps));
      const live = new LiveWatcher(context, stream, query, from, target);
      live.start();
    },
  );
}

/** A stream has no end, so nothing could answer what only asks for its head. */
export const STREAMING = { exposeHeadRoute: false } as const;

export const eventStream = {
  description: "An event stream",
  content: { "text/event-stream": { schema: { type: "string" } } },
} as const;

/**
 * Opens a stream if there is a place for it.
 * @throws HTTP-BUSY
 */
export function openStream({ streams }: RouteContext, stream: SseStream): SseStream {
  if (streams.size >= STREAMS_MAX)
    throw gatewayError("HTTP-BUSY", `${STREAMS_MAX} live streams are open`, { retryAfterMs: 5000 });
  streams.add(stream);
  stream.signal.addEventListener("abort", () => streams.delete(stream), { once: true });
  stream.open();
  return stream;
}

function peekTarget(context: RouteContext, peek: string): PeekTarget {
  const slash = peek.indexOf("/");
  const target = { graph: peek.slice(0, slash), edge: peek.slice(slash + 1) };
  requireEdge(graphOf(context, target.graph), target.edge);
  return target;
}

class LiveWatcher {
  readonly #context: RouteContext;
  readonly #stream: SseStream;
  readonly #query: Query;
  readonly #from: number;
  readonly #tail: EventTail | undefined;
  readonly #peek: PeekSampler | undefined;
  #isTelling = false;
  #missed = 0;

  constructor(context: RouteContext, stream: SseStream, query: Query, from: number, target: PeekTarget | undefined) {
    this.#context = context;
    this.#stream = stream;
    this.#query = query;
    this.#from = from;
    this.#tail = query.events === "newest" ? new EventTail(context.deps.log, eventFilter(query), from) : undefined;
    this.#peek = target ? new PeekSampler(context.deps.host, target) : undefined;
  }

  start(): void {
    const { signal } = this.#stream;
    if (this.#peek) this.#background(this.#peek.run(signal));
    if (this.#query.events === "all") this.#background(this.#everyEvent());
    this.#context.feed.watch((beat) => this.#background(this.#tell(beat)), signal);
  }

  /** One beat, left out when the reader has no room or the beat before is still being told. */
  async #tell(beat: Beat): Promise<void> {
    if (this.#isTelling || !this.#stream.hasRoom) {
      this.#missed++;
      return;
    }
    this.#isTelling = true;
    try {
      if (this.#missed > 0) this.#stream.send("sampled", JSON.stringify({ missed: this.#missed }));
      this.#missed = 0;
      this.#status(beat);
      const peeked = this.#peek?.next(beat.snapshot);
      if (peeked) this.#stream.send("peek", JSON.stringify(peeked));
      const message = await this.#tail?.next(beat);
      if (message) this.#stream.send("events", JSON.stringify(message), message.end - 1);
    } finally {
      this.#isTelling = false;
    }
  }

  #status(beat: Beat): void {
    const { status, graph } = this.#query;
    if (status === "none") return;
    const detail = status === "summary" ? "none" : graph === undefined ? "all" : { graph };
    this.#stream.send("status", beat.statusJson(detail));
  }

  /** Every event from `from` on, as fast as the reader reads: the log waits for nobody and is read, not buffered. */
  async #everyEvent(): Promise<void> {
    const { signal } = this.#stream;
    const filter = eventFilter(this.#query);
    const options = { from: this.#from, signal, ...(filter ? { filter } : {}) };
    for await (const { events, end } of this.#context.deps.log.subscribe(options)) {
      if (signal.aborted) return;
      if (events.length > 0)
        this.#stream.send("events", JSON.stringify({ events: events.map(eventHead), skipped: 0, end }), end - 1);
      await this.#stream.drained();
    }
  }

  /** Work beside the request: when it fails the stream ends, and the reader comes back with its last id. */
  #background(work: Promise<void>): void {
    work.catch((thrown: unknown) => {
      if (!this.#stream.signal.aborted) this.#context.deps.report?.(thrown, "live");
      this.#stream.end();
    });
  }
}
