/**
 * Subscriptions: everything after a place, then whatever comes, each event once. Events are read from the log as the caller takes
 * them, so that a slow one costs no memory and holds up nobody.
 */
import type { SubscriptionBatch } from "@millrace/engine";
import type { EndpointContext } from "./endpoint-context.ts";
import type { GrpcCall } from "./grpc-call.ts";
import type { ReadRequest } from "./read-request.ts";
import { sendEvents } from "./send-events.ts";
import { firstVisible, isSoftDeleted, isTooOld } from "./stream-metadata.ts";
import { deleted } from "./stream-writer.ts";
import { uuidText } from "./uuid.ts";
import { WireWriter } from "./wire-writer.ts";

const NS_PER_MS = 1_000_000;

/** @throws EVENTSTORE-INVALID a filter's expression, once it takes too long */
export async function subscribeToAll(call: GrpcCall, context: EndpointContext, request: ReadRequest): Promise<void> {
  const { log } = context;
  const first = request.from === "end" ? log.durableEnd : (log.base ?? 0);
  const from = typeof request.from === "number" ? request.from + 1 : first;
  const progress = new Progress(call, context, request, from);
  if (!(await confirm(call, context))) return;
  while (!call.signal.aborted) {
    for await (const batch of log.subscribe({ from: Math.min(progress.next, log.durableEnd), signal: call.signal })) {
      const outcome = await progress.deliver(batch);
      if (outcome === "over") return;
      if (outcome === "again") break;
    }
    if (!progress.isBehind) return;
  }
}

/** What a subscription to all streams has told its caller. */
class Progress {
  readonly #call: GrpcCall;
  readonly #context: EndpointContext;
  readonly #request: ReadRequest;
  /** First position that is wanted and was not dealt with. */
  next: number;
  /** True when a batch was let go of before its end. */
  isBehind = false;
  #checkpoint: number;
  #isLive = false;

  constructor(call: GrpcCall, context: EndpointContext, request: ReadRequest, from: number) {
    this.#call = call;
    this.#context = context;
    this.#request = request;
    this.next = from;
    this.#checkpoint = from;
  }

  /** `again`: the caller was slow, and the log is to be read from `next`. `over`: so is the call. */
  async deliver({ events, end, live }: SubscriptionBatch): Promise<"done" | "again" | "over"> {
    const { filter } = this.#request;
    const passing = events.filter((event) => event.position >= this.next && (filter?.passes(event) ?? true));
    const positions = passing.map(({ position }) => position);
    const sent = await sendEvents(this.#call, this.#context, this.#request, passing);
    if (sent < 0) return "over";
    this.isBehind = sent < positions.length;
    this.next = Math.max(this.next, positions[sent] ?? end);
    if (this.isBehind) return "again";
    const isTold = positions.at(-1) === end - 1;
    if (filter !== undefined && !(await this.#checkpointAt(end, filter.checkpointInterval, isTold))) return "over";
    return this.#isLive === live || (await this.#say(live, end)) ? "done" : "over";
  }

  /** A checkpoint says up to where everything that passes was sent; when the last event passed, it says so itself. */
  async #checkpointAt(end: number, interval: number, isTold: boolean): Promise<boolean> {
    if (end - this.#checkpoint < interval) return true;
    this.#checkpoint = end;
    if (isTold || end === 0) return true;
    const { seconds, nanos } = this.#now();
    const message = new WireWriter().message(3, (checkpoint) =>
      checkpoint
        .uint(1, end - 1)
        .uint(2, end - 1)
        .message(3, (time) => time.uint(1, seconds).uint(2, nanos)),
    );
    return this.#call.send(message.finish());
  }

  #say(isLive: boolean, end: number): Promise<boolean> {
    this.#isLive = isLive;
    const position = Math.max(0, end - 1);
    const { seconds, nanos } = this.#now();
    const message = new WireWriter().message(isLive ? 8 : 9, (it) =>
      it
        .message(1, (time) => time.uint(1, seconds).uint(2, nanos))
        .message(3, (place) => place.uint(1, position).uint(2, position)),
    );
    return this.#call.send(message.finish());
  }

  #now(): { readonly seconds: number; readonly nanos: number } {
    return timestamp(this.#context.env.clock.now());
  }
}

/** @throws EVENTSTORE-DELETED also while it goes on */
export async function subscribeToStream(
  call: GrpcCall,
  context: EndpointContext,
  request: ReadRequest,
  stream: string,
): Promise<void> {
  const { streams, tail, states } = context;
  if ((await states.of(stream)).isTombstoned) throw deleted(stream);
  const { from } = request;
  let next =
    typeof from === "number"
      ? from + 1
      : from === "end"
        ? (await streams.head(stream)) + 1
        : await streams.firstKept(stream);
  if (!(await confirm(call, context))) return;
  for (let isLive = false; !call.signal.aborted; isLive = true) {
    const changed = tail.next(stream, call.signal);
    const reached = await sendFrom(call, context, request, stream, next);
    if (reached === undefined) return;
    next = reached;
    if (!isLive && !(await sayCaughtUp(call, context, next))) return;
    await changed;
  }
}

/** Sends what is there from `next` on. The revision after the last; nothing once the call is over. */
async function sendFrom(
  call: GrpcCall,
  context: EndpointContext,
  request: ReadRequest,
  stream: string,
  next: number,
): Promise<number | undefined> {
  const { streams, env, states } = context;
  const { metadata, isTombstoned } = await states.of(stream);
  const head = await streams.head(stream);
  if (isSoftDeleted(metadata) && !isTombstoned) return Math.max(next, head + 1);
  let from: number | undefined = Math.max(next, firstVisible(metadata, head));
  let reached = Math.max(next, Math.min(from, head + 1));
  while (from !== undefined) {
    const reading = streams.read(stream, { from });
    from = undefined;
    for await (const batch of reading) {
      const events = batch.filter((event) => !isTooOld(metadata, event, env.clock.now()));
      const revisions = events.map(({ revision }) => revision);
      const last = batch.at(-1)?.revision ?? -1;
      const sent = await sendEvents(call, context, request, events);
      if (sent < 0) return undefined;
      from = revisions[sent];
      reached = Math.max(reached, from ?? last + 1);
      if (from !== undefined) break;
    }
  }
  // The tombstone itself may be hidden, by metadata as well as by age.
  if (isTombstoned) throw deleted(stream);
  return reached;
}

function sayCaughtUp(call: GrpcCall, { env }: EndpointContext, next: number): Promise<boolean> {
  const { seconds, nanos } = timestamp(env.clock.now());
  const message = new WireWriter().message(8, (it) =>
    it.message(1, (time) => time.uint(1, seconds).uint(2, nanos)).uint(2, next - 1),
  );
  return call.send(message.finish());
}

function confirm(call: GrpcCall, { env }: EndpointContext): Promise<boolean> {
  const id = uuidText(env.random.bytes(16));
  return call.send(new WireWriter().message(2, (it) => it.text(1, id)).finish());
}

function timestamp(nowMs: number): { readonly seconds: number; readonly nanos: number } {
  const seconds = Math.floor(nowMs / 1000);
  return { seconds, nanos: Math.floor((nowMs - seconds * 1000) * NS_PER_MS) };
}
