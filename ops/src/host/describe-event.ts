/** Stored payloads as people read them: steps and host events are msgpack in the log. */
import {
  decodeBatch,
  type Emitted,
  HORIZON,
  heardLanesOf,
  horizonOf,
  type Json,
  LANES_HEARD,
  MillraceError,
  OWNED,
  ownedOf,
  type RecordedEvent,
  SOURCE_IDENTIFIED,
  SOURCE_MARKED,
  STEP,
  type StateEvent,
  sourceIdentityOf,
  sourceMarkOf,
  stepOf,
  unpackState,
} from "@millrace/engine";
import { ERASURE_STREAM } from "../personal/erase-subject.ts";
import { RETENTION_STREAM } from "../retention/legal-holds.ts";
import { graphStreamOf, hostPayload } from "./graph-stream.ts";

/** A payload of unknown form is shown as its first bytes. @throws EVENT-SCHEMA it is ours, of a version that is not known here */
export function describeEvent(event: RecordedEvent): Json {
  try {
    if (event.type === STEP) return describeStep(event);
    if (event.type === OWNED) return { ...ownedOf(event) };
    if (event.type === HORIZON) return { ...horizonOf(event) };
    if (event.type === LANES_HEARD) return { lanes: heardLanesOf(event).map((lane) => plain({ ...lane })) };
    if (event.type === SOURCE_IDENTIFIED) return { ...sourceIdentityOf(event) };
    if (event.type === SOURCE_MARKED) return { ...sourceMarkOf(event) };
    if (event.stream === RETENTION_STREAM || event.stream === ERASURE_STREAM) return plain(unpackState(event.payload));
    if (event.stream === graphStreamOf(event.context.graph)) return plain(hostPayload(event));
  } catch (thrown) {
    if (thrown instanceof MillraceError && thrown.code === "EVENT-SCHEMA") throw thrown;
    // Not ours: bytes are all that can be said.
  }
  return { bytes: event.payload.byteLength, hex: Buffer.from(event.payload.subarray(0, 64)).toString("hex") };
}

function describeStep(event: RecordedEvent): Json {
  const step = stepOf(event);
  return {
    at: step.at,
    inputs: step.inputs.map(({ lane, from, to, watermark, messages, shed }) => {
      const range = { lane, from: [from.pos, from.ord], to: [to.pos, to.ord], messages, shed };
      return { ...range, watermark: timeText(watermark) };
    }),
    opened: step.opened.map((lane) => ({ ...lane })),
    recorded: step.recorded,
    state: step.state.map(describeState),
    emitted: step.emitted.map(describeEmitted),
    dead: step.dead.map((dead) => plain(dead)),
    dropped: step.dropped.map((dropped) => ({ ...dropped })),
    ...(step.out.idle ? { idle: true } : {}),
  };
}

/** Late messages by their place among the rows, each with the watermark that it missed. */
function describeEmitted({ port, firstSeq, count, batch, late }: Emitted): Json {
  const marks = late.map(({ pos, watermark }) => ({ row: pos - firstSeq, watermark: timeText(watermark) }));
  return { port, firstSeq, count, rows: rowsOf(batch), ...(marks.length === 0 ? {} : { late: marks }) };
}

const timeText = (ms: number): string | null => (Number.isFinite(ms) ? new Date(ms).toISOString() : null);

/** State events of projection sinks hold rows; others are shown as they are. */
function describeState(state: StateEvent): Json {
  const rows = typeof state === "object" && state !== null && "rows" in state ? state.rows : undefined;
  return rows === undefined ? plain(state) : { rows: rowsOf(rows) };
}

function rowsOf(encoded: StateEvent): Json {
  return decodeBatch(encoded).rows() as Json;
}

const BYTES_SHOWN = 32;

/** What msgpack can say and JSON cannot: byte arrays become text, numbers that are none become `null`. */
export function plain(value: unknown): Json {
  if (value instanceof Uint8Array) {
    const hex = Buffer.from(value.subarray(0, BYTES_SHOWN)).toString("hex");
    return value.byteLength > BYTES_SHOWN ? `${hex}… (${value.byteLength} bytes)` : hex;
  }
  if (typeof value === "number") return Number.isFinite(value) ? value : null;
  if (typeof value === "bigint") return value.toString();
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return (value ?? null) as Json;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, plain(part)]));
}
