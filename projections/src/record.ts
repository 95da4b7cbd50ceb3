/**
 * What a store knows of a projection, as one value that commits with its rows: which build is asked, which one is being made
 * beside it, how far each is, and in which log.
 */
import type { OrderedReader, OrderedWriter } from "@millrace/engine";
import type { Projection } from "./projection.ts";

/** One set of rows, made by one version of a projection. */
export interface Build {
  readonly version: number;
  /** Key, index and variant of the definition that made it. */
  readonly layout: string;
  /** Table of the store that holds its rows. */
  readonly table: string;
  readonly logId: string;
  /** Everything below this position is folded. */
  readonly position: number;
  readonly shapes: readonly (readonly string[])[];
}

export interface ProjectionRecord {
  /** The build that queries read. */
  readonly active: Build | null;
  /** A build that takes its place once it is as far. */
  readonly next: Build | null;
  /** Numbers tables, so that a new build never finds rows of an old one. */
  readonly builds: number;
}

const TABLE = "projections";

/** Nothing is known of a projection that was never folded. */
const NEW: ProjectionRecord = { active: null, next: null, builds: 0 };

const keyOf = (name: string): Uint8Array => Buffer.from(name, "utf8");

export function readRecord(store: OrderedReader, name: string): ProjectionRecord {
  const bytes = store.get(TABLE, keyOf(name));
  return bytes === undefined ? NEW : (JSON.parse(Buffer.from(bytes).toString("utf8")) as ProjectionRecord);
}

export function writeRecord(tx: OrderedWriter, name: string, record: ProjectionRecord): void {
  tx.put(TABLE, keyOf(name), Buffer.from(JSON.stringify(record), "utf8"));
}

/** A build without rows; `number` makes its table one of its own. */
export function freshBuild(projection: Projection, number: number, logId: string): Build {
  const { name, version } = projection;
  const table = `projection/${name}/${number}`;
  return { version, layout: layoutOf(projection), table, logId, position: 0, shapes: [] };
}

function layoutOf({ key, index = "", variant = "" }: Projection): string {
  return JSON.stringify([key, index, variant]);
}

/** The build that a fold of `projection` over the log `logId` goes on with, after `record` has been brought up to date for it. */
export function prepared(
  record: ProjectionRecord,
  projection: Projection,
  logId: string,
): { readonly record: ProjectionRecord; readonly dropped: readonly string[] } {
  const layout = layoutOf(projection);
  const { version } = projection;
  const fits = (build: Build | null): boolean =>
    build !== null && build.version === version && build.layout === layout && build.logId === logId;
  const { active, next } = record;
  if (fits(next)) return { record, dropped: [] };
  const dropped = next === null ? [] : [next.table];
  if (fits(active)) return { record: { ...record, next: null }, dropped };
  const builds = record.builds + 1;
  const fresh = freshBuild(projection, builds, logId);
  if (active !== null && active.logId === logId) return { record: { active, next: fresh, builds }, dropped };
  // Rows of another log answer nothing about this one.
  return {
    record: { active: fresh, next: null, builds },
    dropped: active === null ? dropped : [...dropped, active.table],
  };
}
