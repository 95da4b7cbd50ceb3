/**
 * What a prune carries of a projection: its rows as of the first position that is left, so that it can still be made again, and looked
 * at as of any position that can be read. A projection without a key keeps every row it was ever given, which is what a prune is to
 * end: of those nothing is carried.
 */
import {
  type CarriedStream,
  type EventLog,
  eventFilter,
  packState,
  type RecordedEvent,
  type StateEvent,
  type StreamCarry,
  unpackState,
} from "@millrace/engine";
import { type Projection, presentEvent } from "./projection.ts";
import { MemoryRows } from "./row/memory-rows.ts";
import { Shapes } from "./row/row-codec.ts";
import { RowTable } from "./row/row-table.ts";
import { NOWHERE } from "./row/rows.ts";

/** Rows in memory, with how far they are. */
export interface RowsAt {
  /** Everything below is folded. */
  readonly position: number;
  readonly rows: MemoryRows;
  readonly shapes: Shapes;
}

/** An event that a projection cannot fold. */
export interface FoldRefusal {
  readonly projection: string;
  readonly position: number;
  readonly error: unknown;
}

export interface CarriedProjections {
  readonly carries: readonly StreamCarry[];
  /** By projection the first event that could not be folded: it must not go before the projection is mended. */
  readonly refused: readonly FoldRefusal[];
}

const FORMAT = 1;

/** No stream is called so: the log carries the rows under this name. */
const nameOf = ({ name }: Projection): string => `$projection/${name}`;

/** The rows that were carried; `undefined`: none, or of a definition that is no more. @throws LOG-MANIFEST */
export async function carriedRows(log: Pick<EventLog, "carried">, projection: Projection): Promise<RowsAt | undefined> {
  const carried = await log.carried?.(nameOf(projection));
  return carried?.state === undefined ? undefined : decode(carried, projection);
}

/** For a prune of everything below `end`: one pass over what goes. */
export async function carryProjections(
  log: EventLog,
  projections: readonly Projection[],
  end: number,
): Promise<CarriedProjections> {
  const folds: ProjectionFold[] = [];
  for (const projection of projections) folds.push(new ProjectionFold(projection, await carriedRows(log, projection)));
  const base = log.base ?? 0;
  for await (const events of log.read({ from: base, limit: end - base }))
    for (const event of events) for (const fold of folds) fold.fold(event);
  return {
    carries: folds.flatMap((fold) => fold.carry(end) ?? []),
    refused: folds.flatMap(({ refusal }) => refusal ?? []),
  };
}

class ProjectionFold {
  readonly #projection: Projection;
  readonly #passes: (event: RecordedEvent) => boolean;
  readonly #rows: MemoryRows;
  readonly #shapes: Shapes;
  readonly #table: RowTable;
  refusal: FoldRefusal | undefined;

  constructor(projection: Projection, before: RowsAt | undefined) {
    this.#projection = projection;
    this.#passes = eventFilter(projection.handles);
    this.#rows = before?.rows ?? new MemoryRows();
    this.#shapes = before?.shapes ?? new Shapes();
    this.#table = new RowTable(projection, this.#shapes, projection.key.length > 0 ? this.#rows : NOWHERE);
  }

  fold(event: RecordedEvent): void {
    if (this.refusal !== undefined || !this.#passes(event)) return;
    const { position } = event;
    this.#table.at(position);
    try {
      this.#projection.fold(this.#table, presentEvent(this.#projection, event));
    } catch (error) {
      this.refusal = { projection: this.#projection.name, position, error };
    }
  }

  /** Nothing of a projection without a key, which is folded only to see that it can be. */
  carry(end: number): StreamCarry | undefined {
    const { version, key, index = "" } = this.#projection;
    if (key.length === 0) return undefined;
    const rows: Uint8Array[] = [];
    for (const row of this.#rows.all()) rows.push(row.key, row.value);
    const packed: PackedRows = [FORMAT, version, key, index, end, this.#shapes.all, rows];
    return {
      stream: nameOf(this.#projection),
      revision: 0,
      positions: [],
      state: packState(packed as unknown as StateEvent),
    };
  }
}

type PackedRows = [
  format: number,
  version: number,
  key: readonly string[],
  index: string,
  end: number,
  shapes: Shapes["all"],
  rows: readonly Uint8Array[],
];

/** Rows of other streams are taken all the same: those that wrote them and are gone would write nothing more. */
function decode({ state }: CarriedStream, projection: Projection): RowsAt | undefined {
  // Written by `carry` above and kept by the log under a checksum.
  const [format, version, key, index, position, allShapes, packed] = unpackState(
    state as Uint8Array,
  ) as unknown as PackedRows;
  const isOurs = format === FORMAT && version === projection.version && index === (projection.index ?? "");
  if (!isOurs || JSON.stringify(key) !== JSON.stringify(projection.key)) return undefined;
  const shapes = new Shapes();
  shapes.restore(allShapes);
  const rows = new MemoryRows();
  for (let at = 0; at < packed.length; at += 2) rows.put(packed[at] as Uint8Array, packed[at + 1] as Uint8Array);
  return { position, rows, shapes };
}
