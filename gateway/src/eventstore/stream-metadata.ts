/** Metadata of a stream `s`: the JSON of the last event of `$$s`. What it says about reading is honoured here. */
import { METASTREAM, type RecordedEvent } from "@millrace/engine";

export interface StreamMetadata {
  /** The JSON object as it stands, to be kept when one field of it changes. */
  readonly raw: Readonly<Record<string, unknown>>;
  /** `$maxCount`: only the last so many events are read. */
  readonly maxCount: number | undefined;
  /** `$maxAge`, in milliseconds: older events are not read. */
  readonly maxAgeMs: number | undefined;
  /** `$tb`: events below this revision are not read. */
  readonly truncateBefore: number;
}

export const NO_METADATA: StreamMetadata = {
  raw: {},
  maxCount: undefined,
  maxAgeMs: undefined,
  truncateBefore: 0,
};

/** What holds for metadata streams themselves. */
export const LAST_ONLY: StreamMetadata = { ...NO_METADATA, maxCount: 1 };

/** `$tb` of a soft-deleted stream in EventStoreDB: no event can be below it. */
const DELETED = "9223372036854775807";

export function metastreamOf(stream: string): string {
  return METASTREAM + stream;
}

export function isMetastream(stream: string): boolean {
  return stream.startsWith(METASTREAM);
}

/** The stream that a metadata stream is about; any other stream itself. */
export function subjectOf(stream: string): string {
  return isMetastream(stream) ? stream.slice(METASTREAM.length) : stream;
}

/** JSON that is none, or no object, is no metadata: as EventStoreDB takes it. */
export function parseMetadata(json: string): StreamMetadata {
  try {
    const parsed: unknown = JSON.parse(json);
    if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) return NO_METADATA;
    const raw = parsed as Readonly<Record<string, unknown>>;
    const maxAge = count(raw.$maxAge);
    return {
      raw,
      maxCount: count(raw.$maxCount) || undefined,
      maxAgeMs: maxAge === undefined ? undefined : maxAge * 1000,
      truncateBefore: count(raw.$tb) ?? 0,
    };
  } catch {
    return NO_METADATA;
  }
}

export function isSoftDeleted({ truncateBefore }: StreamMetadata): boolean {
  return truncateBefore >= Number.MAX_SAFE_INTEGER;
}

/** The metadata of the stream once it is soft-deleted. */
export function deletedMetadata({ raw }: StreamMetadata): string {
  const others = JSON.stringify({ ...raw, $tb: undefined });
  // The number has no exact form in JavaScript, and clients of other languages read it exactly.
  return others === "{}" ? `{"$tb":${DELETED}}` : `{"$tb":${DELETED},${others.slice(1)}`;
}

/** The metadata of a soft-deleted stream that gets events again: what was before stays out of sight. */
export function revivedMetadata({ raw }: StreamMetadata, firstRevision: number): string {
  return JSON.stringify({ ...raw, $tb: firstRevision });
}

/** The first revision that may be read. */
export function firstVisible({ maxCount, truncateBefore }: StreamMetadata, head: number): number {
  return Math.max(truncateBefore, maxCount === undefined ? 0 : head + 1 - maxCount);
}

export function isTooOld({ maxAgeMs }: StreamMetadata, event: Pick<RecordedEvent, "timeMs">, nowMs: number): boolean {
  return maxAgeMs !== undefined && event.timeMs < nowMs - maxAgeMs;
}

function count(value: unknown): number | undefined {
  return typeof value === "number" && value >= 0 ? Math.floor(value) : undefined;
}
