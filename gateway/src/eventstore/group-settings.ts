/** Settings of a persistent subscription: as they come over the wire, as they are kept, as they are shown. */
import { eventStoreError } from "./errors.ts";
import { allPlace, type Place, streamPlace } from "./read-request.ts";
import { streamName } from "./stream-requests.ts";
import { WireMessage } from "./wire-reader.ts";

export const STRATEGIES = ["DispatchToSingle", "RoundRobin", "Pinned", "PinnedByCorrelation"] as const;
export type Strategy = (typeof STRATEGIES)[number];

/** Times in milliseconds. */
export interface GroupSettings {
  readonly from: Place;
  readonly resolveLinks: boolean;
  readonly extraStatistics: boolean;
  readonly messageTimeoutMs: number;
  readonly maxRetryCount: number;
  readonly checkpointAfterMs: number;
  readonly minCheckpointCount: number;
  readonly maxCheckpointCount: number;
  /** 0: any number. */
  readonly maxSubscriberCount: number;
  readonly liveBufferSize: number;
  readonly readBatchSize: number;
  readonly historyBufferSize: number;
  readonly strategy: Strategy;
}

/** A group, wherever it is named. */
export interface GroupName {
  /** `$all`, or the stream. */
  readonly stream: string;
  readonly group: string;
}

export interface GroupDefinition extends GroupName {
  readonly settings: GroupSettings;
  /** `FilterOptions` as they came, in base64; for `$all` only. */
  readonly filter: string | undefined;
  /** The first place to be delivered, as `from` meant it when the group was made. */
  readonly begin: number;
  /** Of a virtual stream: position behind what is numbered below {@link begin}, if there was so much. */
  readonly beginPosition?: number;
}

/** What a client says of a group; where it begins follows. */
export type WantedGroup = Omit<GroupDefinition, "begin" | "beginPosition">;

export const ALL = "$all";
const NAME_BYTES_MAX = 1000;
const COUNT_MAX = 100_000;
const TICKS_PER_MS = 10_000;
const TIME_MAX_MS = 24 * 3600 * 1000;

/** `CreateReq.Options` and `UpdateReq.Options`. @throws EVENTSTORE-INVALID */
export function readDefinition(options: WireMessage): WantedGroup {
  const settings = options.message(3);
  const isAll = options.has(5);
  const target = options.message(isAll ? 5 : 4);
  // Before 21.10 the stream and its revision stood beside the settings.
  const isOld = !isAll && !options.has(4);
  const stream = isAll ? ALL : streamName((isOld ? options : target).message(1));
  const from = isAll ? allPlace(target) : isOld ? oldPlace(settings) : streamPlace(target);
  const filter = isAll && target.has(4) ? target.bytes(4).toString("base64") : undefined;
  return { ...checkedName(stream, options.text(2)), settings: readSettings(settings, from), filter };
}

/** There the largest number meant the end; clients that know it still say so. */
function oldPlace(settings: WireMessage): Place {
  return settings.int64(2) === -1n ? "end" : settings.uint(2);
}

/** @throws EVENTSTORE-INVALID */
export function checkedName(stream: string, group: string): GroupName {
  if (group === "" || Buffer.byteLength(group) > NAME_BYTES_MAX)
    throw eventStoreError("EVENTSTORE-INVALID", "the name of a persistent subscription is empty or too long");
  if (stream === "") throw eventStoreError("EVENTSTORE-INVALID", "a persistent subscription needs a stream");
  return { stream, group };
}

export function groupKey({ stream, group }: GroupName): string {
  return `${stream}::${group}`;
}

/** Streams that a group keeps its state in, named as EventStoreDB names them. */
export function groupStreams(name: GroupName): { readonly checkpoint: string; readonly parked: string } {
  const prefix = `$persistentsubscription-${groupKey(name)}`;
  return { checkpoint: `${prefix}-checkpoint`, parked: `${prefix}-parked` };
}

function readSettings(settings: WireMessage, from: Place): GroupSettings {
  const count = (field: number, least: number): number => within(settings.int32(field), least, COUNT_MAX);
  const time = (msField: number, ticksField: number): number => {
    const ms = settings.has(msField) ? settings.int32(msField) : Number(settings.int64(ticksField)) / TICKS_PER_MS;
    return within(ms, 1, TIME_MAX_MS);
  };
  return {
    from,
    resolveLinks: settings.bool(1),
    extraStatistics: settings.bool(3),
    messageTimeoutMs: time(14, 4),
    maxRetryCount: count(5, 0),
    checkpointAfterMs: time(15, 6),
    minCheckpointCount: count(7, 1),
    maxCheckpointCount: count(8, 1),
    maxSubscriberCount: count(9, 0),
    liveBufferSize: count(10, 1),
    readBatchSize: count(11, 1),
    historyBufferSize: count(12, 1),
    strategy: readStrategy(settings),
  };
}

function readStrategy(settings: WireMessage): Strategy {
  const named = settings.text(16);
  const strategy = named === "" ? STRATEGIES[settings.int32(13)] : STRATEGIES.find((one) => one === named);
  if (strategy === undefined) throw eventStoreError("EVENTSTORE-INVALID", `"${named}" is no strategy of consumers`);
  return strategy;
}

function within(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, Math.floor(value)));
}

/** The options of the filter, to be read as those of a read. */
export function filterOptions({ filter }: GroupDefinition): WireMessage | undefined {
  return filter === undefined ? undefined : new WireMessage(Buffer.from(filter, "base64"));
}
