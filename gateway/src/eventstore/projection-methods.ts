/** The service `Projections`: definitions, states, results and how far each has come. */
import type { Json } from "@millrace/engine";
import { authorOf, type EndpointContext, type GrpcMethod } from "./endpoint-context.ts";
import { eventStoreError } from "./errors.ts";
import type { GrpcCall } from "./grpc-call.ts";
import type { Projections } from "./projections.ts";
import type { RunningProjection } from "./running-projection.ts";
import type { Author } from "./stored-event.ts";
import { uuidText } from "./uuid.ts";
import { WireMessage } from "./wire-reader.ts";
import { WireWriter } from "./wire-writer.ts";

const SERVICE = "/event_store.client.projections.Projections";
const NAME_CHARS_MAX = 200;
/** Protocol buffers are read to a depth of 100 messages in most languages; a level of JSON takes up to three. */
const VALUE_DEPTH_MAX = 500;
/** What EventStoreDB's own projections make is always there, see `virtual-streams.ts`. */
const SYSTEM = ["$by_category", "$by_correlation_id", "$by_event_type", "$streams"] as const;

export function projectionMethods(projections: Projections): readonly (readonly [string, GrpcMethod])[] {
  return [
    [`${SERVICE}/Create`, changing((options, author, context) => create(projections, options, author, context))],
    [`${SERVICE}/Update`, changing((options, author) => update(projections, options, author))],
    [
      `${SERVICE}/Delete`,
      changing((options, author) => {
        const streams = { emitted: options.bool(2), state: options.bool(3), checkpoint: options.bool(4) };
        return projections.delete(changeable(options), streams, author);
      }),
    ],
    [
      `${SERVICE}/Enable`,
      changing(async (options, author) => {
        if (!isSystem(options.text(1))) await projections.enable(nameOf(options), author);
      }),
    ],
    [
      `${SERVICE}/Disable`,
      changing((options, author) =>
        projections.disable(changeable(options), options.bool(2) ? "Stopped" : "Aborted", author),
      ),
    ],
    [`${SERVICE}/Reset`, changing((options, author) => projections.reset(changeable(options), author))],
    [`${SERVICE}/State`, asking(projections, (projection, partition) => projection.stateOf(partition))],
    [`${SERVICE}/Result`, asking(projections, (projection, partition) => projection.resultOf(partition))],
    [`${SERVICE}/Statistics`, (call, context) => statistics(call, context, projections)],
    [`${SERVICE}/RestartSubsystem`, restart(projections)],
  ];
}

type Change = (options: WireMessage, author: Author, context: EndpointContext) => Promise<void>;

/** A method that is asked with `options = 1`, changes something and answers nothing. */
function changing(change: Change): GrpcMethod {
  return async (call, context) => {
    const author = authorOf(call, context);
    await change(new WireMessage(await call.message()).message(1), author, context);
    await call.send(Buffer.alloc(0));
  };
}

function restart(projections: Projections): GrpcMethod {
  return async (call, context) => {
    authorOf(call, context);
    await call.message();
    await projections.restart();
    await call.send(Buffer.alloc(0));
  };
}

async function create(
  projections: Projections,
  options: WireMessage,
  author: Author,
  { env }: EndpointContext,
): Promise<void> {
  const query = options.text(4);
  const base = { query, emitEnabled: false, trackEmittedStreams: false };
  if (options.has(3)) {
    const continuous = options.message(3);
    const emits = { emitEnabled: continuous.bool(2), trackEmittedStreams: continuous.bool(3) };
    await projections.create({ ...base, ...emits, name: changeable(continuous), mode: "Continuous" }, author);
  } else if (options.has(2)) {
    await projections.create({ ...base, name: changeable(options.message(2)), mode: "Transient" }, author);
  } else if (options.has(1)) {
    await projections.create({ ...base, name: uuidText(env.random.bytes(16)), mode: "OneTime" }, author);
  } else throw eventStoreError("EVENTSTORE-INVALID", "the mode of the projection is missing");
}

async function update(projections: Projections, options: WireMessage, author: Author): Promise<void> {
  const emits = options.has(3) ? { emitEnabled: options.bool(3) } : {};
  const query = options.text(2);
  await projections.update(changeable(options), { ...(query === "" ? {} : { query }), ...emits }, author);
}

function nameOf(options: WireMessage): string {
  const name = options.text(1);
  if (name === "" || name.length > NAME_CHARS_MAX)
    throw eventStoreError("EVENTSTORE-INVALID", `the name of a projection has 1 to ${NAME_CHARS_MAX} characters`);
  return name;
}

/** Of a projection that is a user's. @throws EVENTSTORE-INVALID */
function changeable(options: WireMessage): string {
  const name = nameOf(options);
  if (!isSystem(name) && !name.startsWith("$")) return name;
  throw eventStoreError("EVENTSTORE-INVALID", `${name} is the system's: what it makes is always there`);
}

function isSystem(name: string): boolean {
  return (SYSTEM as readonly string[]).includes(name);
}

function asking(
  projections: Projections,
  ask: (projection: RunningProjection, partition: string) => Promise<Json>,
): GrpcMethod {
  return async (call) => {
    const options = new WireMessage(await call.message()).message(1);
    const value = await ask(await projections.get(nameOf(options)), options.text(2));
    await call.send(new WireWriter().message(1, (writer) => writeValue(writer, value)).finish());
  };
}

/** `google.protobuf.Value`. @throws EVENTSTORE-INVALID it is nested deeper than any client reads */
export function writeValue(writer: WireWriter, value: Json, depth = 0): void {
  if (depth > VALUE_DEPTH_MAX)
    throw eventStoreError("EVENTSTORE-INVALID", `the value is nested deeper than ${VALUE_DEPTH_MAX} levels`);
  if (value === null || value === undefined) writer.uint(1, 0);
  else if (typeof value === "number") writer.double(2, value);
  else if (typeof value === "string") writer.text(3, value);
  else if (typeof value === "boolean") writer.bool(4, value);
  else if (Array.isArray(value))
    writer.message(6, (list) => {
      for (const one of value as readonly Json[]) list.message(1, (item) => writeValue(item, one, depth + 1));
    });
  else
    writer.message(5, (struct) => {
      for (const [key, one] of Object.entries(value))
        struct.message(1, (entry) => entry.text(1, key).message(2, (item) => writeValue(item, one, depth + 1)));
    });
}

async function statistics(call: GrpcCall, { log }: EndpointContext, projections: Projections): Promise<void> {
  const options = new WireMessage(await call.message()).message(1);
  const end = log.durableEnd;
  if (options.has(1)) {
    const name = nameOf(options);
    if (isSystem(name)) await call.send(systemDetails(name, end));
    else await call.send(details(await projections.get(name), end));
    return;
  }
  const wanted = options.has(3) ? "Transient" : options.has(4) ? "Continuous" : options.has(5) ? "OneTime" : undefined;
  if (wanted === undefined || wanted === "Continuous")
    for (const name of SYSTEM) await call.send(systemDetails(name, end));
  for (const projection of await projections.list())
    if (wanted === undefined || projection.definition.mode === wanted) await call.send(details(projection, end));
}

function details(projection: RunningProjection, end: number): Buffer {
  const { definition, state, reason, next, checkpoint, handled, partitions } = projection;
  const status = state === "Completed" ? "Completed/Stopped" : state === "Aborted" ? "Aborted/Stopped" : state;
  return encoded({
    ...definition,
    status,
    reason,
    position: next,
    checkpoint,
    handled,
    partitions,
    progress: end === 0 ? 100 : Math.min(100, (100 * next) / end),
  });
}

function systemDetails(name: string, end: number): Buffer {
  const still = { reason: "", handled: 0, partitions: 0, version: 0, epoch: 0, mode: "Continuous" };
  return encoded({ ...still, name, status: "Running", position: end, checkpoint: end, progress: 100 });
}

interface Details {
  readonly name: string;
  readonly mode: string;
  readonly version: number;
  readonly epoch: number;
  readonly status: string;
  readonly reason: string;
  readonly position: number;
  readonly checkpoint: number;
  readonly handled: number;
  readonly partitions: number;
  readonly progress: number;
}

function encoded(of: Details): Buffer {
  const place = (next: number): string => `C:${next - 1}/P:${next - 1}`;
  const writer = new WireWriter().message(1, (it) =>
    it
      .uint(2, of.version)
      .uint(3, of.epoch)
      .text(4, of.name)
      .uint(7, of.partitions)
      .text(8, of.status)
      .text(9, of.reason)
      .text(10, of.name)
      .text(11, of.mode)
      .text(12, place(of.position))
      .float(13, of.progress)
      .text(14, place(of.checkpoint))
      .uint(15, of.handled),
  );
  return writer.finish();
}
