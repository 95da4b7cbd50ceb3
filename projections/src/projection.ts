/**
 * A projection: a fold of the log into rows that can be asked. Its definition is code; its rows and how far it is are in a
 * store and can be deleted and built again (DESIGN §11).
 */
import { type EventFilter, type EventSchema, invariant, type RecordedEvent } from "@millrace/engine";
import type { Rows } from "./row/rows.ts";

export interface Projection {
  readonly name: string;
  /** A new version is built beside the old one from the log's start, then takes its place. Change it with `fold`. */
  readonly version: number;
  /** Events that `fold` is called with. */
  readonly handles: EventFilter;
  /** Fields that identify a row, most significant first: rows are ordered by them. Empty: every row put is kept, in order. */
  readonly key: readonly string[];
  /** A field that finds a row too: no two rows have the same value, and the row of a key never changes it. */
  readonly index?: string;
  /** What else the rows depend on, as text. A change of it, of `key` or of `index` counts as a new version. */
  readonly variant?: string;
  /**
   * Schemas of events that `fold` reads: it gets them in their present version, however old they are, and never in one that is
   * not known. An event of another type is passed as it is.
   */
  readonly schemas?: readonly EventSchema<unknown>[];
  /**
   * Changes the rows by one event. It must depend on nothing but its arguments. An exception parks the projection before
   * this event.
   */
  fold(rows: Rows, event: RecordedEvent): void;
}

const NAME = /^[a-z0-9][a-z0-9._-]{0,99}$/;

/** Checks a definition. */
export function defineProjection(projection: Projection): Projection {
  invariant(
    NAME.test(projection.name),
    `a projection's name is lower-case letters, digits and . _ -: ${projection.name}`,
  );
  invariant(Number.isSafeInteger(projection.version) && projection.version >= 0, "a projection's version is a number");
  invariant(new Set(projection.key).size === projection.key.length, "a projection's key names a field twice");
  invariant(
    new Set(projection.schemas?.map(({ type }) => type)).size === (projection.schemas?.length ?? 0),
    "a projection has two schemas of one type",
  );
  return projection;
}

/** The event as `fold` of this projection expects it. @throws EVENT-SCHEMA */
export function presentEvent({ schemas = [] }: Projection, event: RecordedEvent): RecordedEvent {
  const schema = schemas.find(({ type }) => type === event.type);
  return schema === undefined ? event : schema.upcast(event);
}
