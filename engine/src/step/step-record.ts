/**
 * One atomic commit of a node as it stands in the log (step-protocol §4 and §8): what it consumed, in order; what it could not
 * compute; how its state changed; what it sends and what it gave up on.
 */
import type { StateEvent } from "../behavior/committed-behavior.ts";
import type { ErrorReport } from "../errors.ts";
import type { LateMark, Mark } from "../frame/frame.ts";
import type { Json } from "../frame/json.ts";
import type { Point } from "../frame/point.ts";
import type { RecordedEvent } from "../log/event-log.ts";
import { defineEventSchema, type EventSchema } from "../log/event-schema.ts";
import { packState, unpackState } from "../log/packed-payload.ts";

/** Types of the events in a node's stream. */
export const STEP = "Step";
export const OWNED = "Owned";
export const STEP_SCHEMA = 2;
export const OWNED_SCHEMA = 1;

/** A consumed range of one lane. */
export interface StepInput {
  /** Short number of the lane in this stream. */
  readonly lane: number;
  readonly from: Point;
  readonly to: Point;
  /** Watermark of the lane at `to`; exact there only if `exact`. */
  readonly watermark: number;
  /** False for a range cut inside a frame: the origin must restart at an earlier point, where the watermark is known. */
  readonly exact: boolean;
  readonly idle: boolean;
  readonly mark: Mark | null;
  readonly revision: number;
  /** Messages of the range that reached the node, dead ones included, and those shed on the way (I10). */
  readonly messages: number;
  readonly shed: number;
}

export interface LaneOpened {
  readonly lane: number;
  /** Origin and route. */
  readonly name: string;
}

/** Output of one port: messages `firstSeq … firstSeq + count - 1` of that origin. */
export interface Emitted {
  readonly port: string;
  readonly firstSeq: number;
  readonly count: number;
  readonly batch: StateEvent;
  /** Of a source that cannot be read again: which of them are late, by sequence number, decided when the step was made (R19). */
  readonly late: readonly LateMark[];
}

export interface DeadLettered {
  /** hash(lane, pos, ord, node), 32 hex digits. */
  readonly id: string;
  readonly lane: string;
  readonly pos: number;
  readonly ord: number;
  readonly node: string;
  readonly attempts: number;
  readonly error: ErrorReport;
  readonly input: Json | undefined;
}

export interface Dropped {
  readonly reason: string;
  readonly count: number;
}

export interface StepRecord {
  /** Tick of the step: ms since 1970, never falling in a stream (R13). */
  readonly at: number;
  /**
   * The node's watermark when it took the step's messages. Above that of the step before if inputs without messages moved it
   * meanwhile: those ride in this step as its first inputs (R18).
   */
  readonly since: number;
  readonly inputs: readonly StepInput[];
  readonly opened: readonly LaneOpened[];
  readonly recorded: readonly Json[];
  readonly state: readonly StateEvent[];
  readonly emitted: readonly Emitted[];
  readonly dead: readonly DeadLettered[];
  readonly dropped: readonly Dropped[];
  /** The node's own watermark after the step. */
  readonly watermark: number;
  /** Watermark of what the node sends from here on, and whether it is idle. */
  readonly out: { readonly watermark: number; readonly idle: boolean };
}

/** A new owner's first event in each stream of its shard (R26). */
export interface OwnedRecord {
  readonly epoch: number;
  readonly host: string;
}

/**
 * The step record as it is read from a log. Who changes what {@link encodeStep} writes raises its version, adds an upcaster, and
 * keeps the golden records of the versions before (`test/golden`).
 */
const stepSchema: EventSchema<StepRecord> = defineEventSchema({
  type: STEP,
  version: STEP_SCHEMA,
  upcasters: [withoutLate],
  parse: (payload) => stepOfPacked(payload as unknown as PackedStep),
});

const ownedSchema: EventSchema<OwnedRecord> = defineEventSchema({
  type: OWNED,
  version: OWNED_SCHEMA,
  parse: (payload) => ownedOfPacked(payload as [number, string]),
});

/** What a `Step` event says. @throws EVENT-SCHEMA, EVENT-PAYLOAD */
export function stepOf(event: RecordedEvent): StepRecord {
  return stepSchema.decode(event);
}

/** What an `Owned` event says. @throws EVENT-SCHEMA, EVENT-PAYLOAD */
export function ownedOf(event: RecordedEvent): OwnedRecord {
  return ownedSchema.decode(event);
}

export function encodeStep(step: StepRecord): Uint8Array {
  const packed: PackedStep = [
    step.at,
    step.inputs.map(packInput),
    step.opened.map((o) => [o.lane, o.name]),
    step.recorded,
    step.state,
    step.emitted.map((e) => [e.port, e.firstSeq, e.count, e.batch, packLate(e)]),
    step.dead.map((d) => [
      d.id,
      d.lane,
      d.pos,
      d.ord,
      d.node,
      d.attempts,
      d.error,
      d.input === undefined ? [] : [d.input],
    ]),
    step.dropped.map((d) => [d.reason, d.count]),
    [step.out.watermark, step.out.idle],
    step.since,
    step.watermark,
  ];
  // Error reports are made of what msgpack can say.
  return packState(packed as unknown as StateEvent);
}

/** A step of the present version. For what is in a log, use {@link stepOf}. */
export function decodeStep(payload: Uint8Array): StepRecord {
  return stepOfPacked(unpackState(payload) as unknown as PackedStep);
}

/** The log stores what `encodeStep` wrote and checks it by CRC, so its shape is known. */
function stepOfPacked(packed: PackedStep): StepRecord {
  const [at, inputs, opened, recorded, state, emitted, dead, dropped, out, since, watermark] = packed;
  return {
    at,
    since,
    inputs: inputs.map(unpackInput),
    opened: opened.map(([lane, name]) => ({ lane, name })),
    recorded,
    state,
    emitted: emitted.map(unpackEmitted),
    dead: dead.map(([id, lane, pos, ord, node, attempts, error, input]) => ({
      id,
      lane,
      pos,
      ord,
      node,
      attempts,
      error,
      input: input[0],
    })),
    dropped: dropped.map(([reason, count]) => ({ reason, count })),
    watermark,
    out: { watermark: out[0], idle: out[1] },
  };
}

export function encodeOwned(owned: OwnedRecord): Uint8Array {
  return packState([owned.epoch, owned.host]);
}

function ownedOfPacked([epoch, host]: readonly [number, string]): OwnedRecord {
  return { epoch, host };
}

type PackedInput = [number, number, number, number, number, number, number, number, number, number, number, number];
/** Port, first sequence number, count, batch; then for each late message its index and watermark. */
type PackedEmitted = [string, number, number, StateEvent, number[]];
type PackedStep = [
  number,
  PackedInput[],
  [number, string][],
  readonly Json[],
  readonly StateEvent[],
  PackedEmitted[],
  [string, string, number, number, string, number, ErrorReport, Json[]][],
  [string, number][],
  [number, boolean],
  number,
  number,
];

const EXACT = 1;
const IDLE = 2;

function packInput(i: StepInput): PackedInput {
  const flags = (i.exact ? EXACT : 0) | (i.idle ? IDLE : 0);
  const mark = i.mark ?? { epoch: -1, n: -1 };
  return [
    i.lane,
    i.from.pos,
    i.from.ord,
    i.to.pos,
    i.to.ord,
    i.watermark,
    flags,
    mark.epoch,
    mark.n,
    i.revision,
    i.messages,
    i.shed,
  ];
}

function unpackInput(p: PackedInput): StepInput {
  return {
    lane: p[0],
    from: { pos: p[1], ord: p[2] },
    to: { pos: p[3], ord: p[4] },
    watermark: p[5],
    exact: (p[6] & EXACT) !== 0,
    idle: (p[6] & IDLE) !== 0,
    mark: p[7] < 0 ? null : { epoch: p[7], n: p[8] },
    revision: p[9],
    messages: p[10],
    shed: p[11],
  };
}

function packLate({ firstSeq, late }: Emitted): number[] {
  return late.flatMap(({ pos, watermark }) => [pos - firstSeq, watermark]);
}

function unpackEmitted([port, firstSeq, count, batch, packed]: PackedEmitted): Emitted {
  const late: LateMark[] = [];
  for (let i = 0; i < packed.length; i += 2)
    late.push({ pos: firstSeq + (packed[i] as number), watermark: packed[i + 1] as number });
  return { port, firstSeq, count, batch, late };
}

/** Version 1 knew sources only that are read again, which decide themselves what is late. */
function withoutLate(payload: StateEvent): StateEvent {
  // Written by `encodeStep` of version 1.
  const parts = [...(payload as readonly StateEvent[])];
  parts[EMITTED] = (parts[EMITTED] as readonly (readonly StateEvent[])[]).map((emitted) => [...emitted, []]);
  return parts;
}

const EMITTED = 5;
