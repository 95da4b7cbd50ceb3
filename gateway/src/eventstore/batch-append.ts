/**
 * `Streams/BatchAppend`: many appends over one long call, told apart by correlation id. An append may come in parts; its
 * outcome, good or bad, is a message of its own, so that one refusal does not end the others. Appends are under way side by
 * side, those to one stream in the order in which they came.
 */
import { type ExpectedRevision, MillraceError } from "@millrace/engine";
import { writeSuccess } from "./append.ts";
import { authorOf, type EndpointContext, type GrpcMethod } from "./endpoint-context.ts";
import { eventStoreError } from "./errors.ts";
import { GRPC, statusOf, textOf } from "./grpc-status.ts";
import { type ClientEvent, readProposed } from "./stored-event.ts";
import { streamAndExpected } from "./stream-requests.ts";
import { type Appended, sizeOf, tooLarge } from "./stream-writer.ts";
import { readUuid, writeUuid } from "./uuid.ts";
import { WireMessage } from "./wire-reader.ts";
import { WireWriter } from "./wire-writer.ts";

/** Appends that a call may have begun and not finished, and what was received for them. */
const PARTIAL_MAX = 64;
const PARTIAL_BYTES_MAX = 64 << 20;
/** Bytes of appends under way before the call is read on. */
const IN_FLIGHT_BYTES_MAX = 32 << 20;

export const batchAppend: GrpcMethod = async (call, context) => {
  const author = authorOf(call, context);
  const partials = new Map<string, Partial>();
  const room = new Room();
  for await (const message of call.messages()) {
    const request = new WireMessage(message);
    const partial = partOf(request, partials, context);
    partial.receivedBytes += message.length;
    add(partial, request, context);
    if (!request.bool(4)) {
      checkUnfinished(partials);
      continue;
    }
    partials.delete(partial.key);
    // It cannot fail: what goes wrong is the answer. A call that is over takes no answer.
    void perform(partial, context, author)
      .then((answer) => call.send(answer))
      .finally(() => room.leave(partial.receivedBytes));
    await room.enter(partial.receivedBytes);
  }
  await room.empty();
};

interface Partial {
  readonly key: string;
  readonly correlationId: Buffer;
  readonly structuredIds: boolean;
  readonly stream: string;
  readonly expected: ExpectedRevision;
  /** Milliseconds since 1970. */
  readonly deadlineMs: number;
  readonly events: ClientEvent[];
  bytes: number;
  receivedBytes: number;
  /** Why it fails, once that is clear; its further parts are skipped. */
  refusal: unknown;
}

function partOf(request: WireMessage, partials: Map<string, Partial>, context: EndpointContext): Partial {
  const id = request.message(1);
  const correlationId = readUuid(id);
  const key = correlationId.toString("hex");
  const known = partials.get(key);
  if (known !== undefined) return known;
  if (!request.has(2)) throw eventStoreError("EVENTSTORE-INVALID", "an append begins without options");
  const options = request.message(2);
  const partial: Partial = {
    key,
    correlationId,
    structuredIds: id.has(1),
    ...streamAndExpected(options),
    deadlineMs: deadlineOf(options, context.env.clock.now()),
    events: [],
    bytes: 0,
    receivedBytes: 0,
    refusal: undefined,
  };
  partials.set(key, partial);
  return partial;
}

function checkUnfinished(partials: ReadonlyMap<string, Partial>): void {
  let bytes = 0;
  for (const { receivedBytes } of partials.values()) bytes += receivedBytes;
  if (partials.size <= PARTIAL_MAX && bytes <= PARTIAL_BYTES_MAX) return;
  throw eventStoreError("EVENTSTORE-INVALID", `${partials.size} appends of ${bytes} bytes are unfinished in one call`);
}

/** `deadline_21_10_0` is a time, `deadline` a duration; without either there is none. */
function deadlineOf(options: WireMessage, nowMs: number): number {
  const field = options.has(6) ? 6 : 7;
  if (!options.has(field)) return Number.POSITIVE_INFINITY;
  const time = options.message(field);
  const ms = Number(time.int64(1)) * 1000 + time.int32(2) / 1e6;
  return field === 6 ? ms : nowMs + ms;
}

function add(partial: Partial, request: WireMessage, { appendBytesMax }: EndpointContext): void {
  if (partial.refusal !== undefined) return;
  try {
    for (const proposed of request.messages(3)) {
      const event = readProposed(proposed);
      partial.events.push(event);
      partial.bytes += sizeOf(event);
    }
    if (partial.bytes > appendBytesMax) throw tooLarge(partial.bytes, appendBytesMax);
  } catch (thrown) {
    partial.refusal = thrown;
    partial.events.length = 0;
  }
}

async function perform(
  partial: Partial,
  { writer, env }: EndpointContext,
  author: Parameters<typeof writer.append>[3],
): Promise<Buffer> {
  const { stream, expected, events, deadlineMs, refusal } = partial;
  try {
    if (refusal !== undefined) throw refusal;
    if (deadlineMs <= env.clock.now()) return answer(partial, (it) => it.message(2, (status) => writeTimeout(status)));
    const appended: Appended = await writer.append(stream, expected, events, author);
    return answer(partial, (it) => it.message(3, (success) => writeSuccess(success, appended)));
  } catch (thrown) {
    return answer(partial, (it) => it.message(2, (status) => writeError(status, thrown, partial)));
  }
}

/** `BatchAppendResp`: whose outcome it is, and what was asked. */
function answer(
  { correlationId, structuredIds, stream, expected }: Partial,
  outcome: (it: WireWriter) => void,
): Buffer {
  const writer = new WireWriter();
  writeUuid(writer, 1, correlationId, structuredIds);
  outcome(writer);
  writer.message(4, (identifier) => identifier.text(3, stream));
  if (typeof expected === "number") writer.uint(5, expected);
  else writer.message({ none: 6, any: 7, exists: 8 }[expected]);
  return writer.finish();
}

function writeTimeout(status: WireWriter): void {
  writeStatus(status, GRPC.deadlineExceeded, "Timeout: the deadline of the append has passed.", "Timeout", () => {});
}

/** `google.rpc.Status` with one of the messages of shared.proto as its detail. */
function writeError(status: WireWriter, thrown: unknown, { stream, expected }: Partial): void {
  const code = thrown instanceof MillraceError ? thrown.code : "";
  const details = thrown instanceof MillraceError ? thrown.details : undefined;
  const grpc = statusOf(thrown).code;
  const text = textOf(thrown);
  if (code === "LOG-WRONG-REVISION" || code === "EVENTSTORE-WRONG-VERSION")
    writeStatus(status, grpc, text, "WrongExpectedVersion", (it) =>
      writeConflict(it, expected, Number(details?.actual)),
    );
  else if (code === "EVENTSTORE-DELETED")
    writeStatus(status, grpc, text, "StreamDeleted", (it) => it.message(1, (name) => name.text(3, stream)));
  else if (code === "EVENTSTORE-TOO-LARGE" || code === "LOG-TOO-LARGE")
    writeStatus(status, grpc, text, "MaximumAppendSizeExceeded", (it) =>
      it.uint(1, Number(details?.appendBytesMax ?? 0)),
    );
  else if (code === "EVENTSTORE-DENIED") writeStatus(status, grpc, text, "AccessDenied", () => {});
  // Clients show the text of this detail, and not that of `Unknown`.
  else if (code === "EVENTSTORE-INVALID" || code === "EVENTSTORE-METADATA" || code === "LOG-CONDITION")
    writeStatus(status, grpc, text, "BadRequest", (it) => it.text(1, text));
  else writeStatus(status, grpc, text, "Unknown", () => {});
}

function writeStatus(
  status: WireWriter,
  code: number,
  message: string,
  detail: string,
  fill: (it: WireWriter) => void,
): void {
  status
    .uint(1, code)
    .text(2, message)
    .message(3, (any) => any.text(1, `type.googleapis.com/event_store.client.${detail}`).message(2, fill));
}

/** `event_store.client.WrongExpectedVersion`. */
function writeConflict(writer: WireWriter, expected: ExpectedRevision, actual: number): void {
  if (actual < 0) writer.message(2);
  else writer.uint(1, actual);
  if (typeof expected === "number") writer.uint(3, expected);
  else writer.message({ any: 4, exists: 5, none: 6 }[expected]);
}

/** Counts bytes under way. */
class Room {
  #bytes = 0;
  #wake: (() => void) | undefined;

  async enter(bytes: number): Promise<void> {
    this.#bytes += bytes;
    await this.#below(IN_FLIGHT_BYTES_MAX);
  }

  leave(bytes: number): void {
    this.#bytes -= bytes;
    this.#wake?.();
  }

  empty(): Promise<void> {
    return this.#below(1);
  }

  async #below(limit: number): Promise<void> {
    while (this.#bytes >= limit) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
