/**
 * What a prune carries of a projection: its rows as of the first position that is left, so that it can still be made again, and looked
 * at as of any position that can be read. A projection without a key keeps every row it was ever given, which is what a prune is to
 * end: of those nothing is carried.
 *
 * Rows are folded in a table of the store and carried in parts, under names of their own, so that a prune takes no more memory however
 * many there are.
 */
import {
  type EventLog,
  eventFilter,
  type OrderedStore,
  type OrderedWriter,
  packState,
  type RecordedEvent,
  type StateEvent,
  type StreamCarry,
  unpackState,
} from "@millrace/engine";
import { type Projection, presentEvent } from "./projection.ts";
import { Shapes } from "./row/row-codec.ts";
import { RowTable } from "./row/row-table.ts";
import { NOWHERE, type RowSpace } from "./row/rows.ts";
import { tableSpace } from "./row/table-space.ts";

/** Rows that were carried, to be read part by part. */
interface CarriedRows {
  /** Everything below is folded. */
  readonly position: number;
  readonly shapes: Shapes;
  /** Key and value by turns. @throws LOG-MANIFEST */
  readonly parts: () => AsyncIterable<readonly Uint8Array[]>;
}

/** An event that a projection cannot fold. */
export interface FoldRefusal {
  readonly projection: string;
  readonly position: number;
  readonly error: unknown;
}

export interface CarriedProjections {
  /** A state is made when it is asked for, until {@link CarriedProjections.release}. */
  readonly carries: readonly StreamCarry[];
  /** By projection the first event that could not be folded: it must not go before the projection is mended. */
  readonly refused: readonly FoldRefusal[];
  /** Forgets what was folded for it; absent: nothing was. */
  readonly release?: () => Promise<void>;
}

const FORMAT = 2;
const PART_ROWS = 1024;
const PART_BYTES = 256 * 1024;

/** No stream is called so: the log carries what is to be said of the rows, and each part of them, under these names. */
const nameOf = ({ name }: Projection): string => `$projection/${name}`;
const partNameOf = ({ name }: Projection, part: number): string => `$projection-rows/${part}/${name}`;
/** Where rows are folded for a prune. */
const tableOf = ({ name }: Projection): string => `projection-carry/${name}`;

/** The rows that were carried; `undefined`: none, or of a definition that is no more. @throws LOG-MANIFEST */
export async function carriedRows(
  log: Pick<EventLog, "carried">,
  projection: Projection,
): Promise<CarriedRows | undefined> {
  const carried = await log.carried?.(nameOf(projection));
  if (carried?.state === undefined) return undefined;
  // Written by `carry` below and kept by the log under a checksum.
  const packed = unpackState(carried.state) as unknown as PackedHead;
  const [format, version, key, index, position, allShapes, parts] = packed;
  const isOurs = format === FORMAT && version === projection.version && index === (projection.index ?? "");
  if (!isOurs || JSON.stringify(key) !== JSON.stringify(projection.key)) return undefined;
  const shapes = new Shapes();
  shapes.restore(allShapes);
  return { position, shapes, parts: () => partsOf(log, projection, parts) };
}

async function* partsOf(
  log: Pick<EventLog, "carried">,
  projection: Projection,
  count: number,
): AsyncGenerator<readonly Uint8Array[]> {
  for (let part = 0; part < count; part++) {
    const carried = await log.carried?.(partNameOf(projection, part));
    // The log has the file whole or not at all, so no part is missing.
    yield unpackState(carried?.state as Uint8Array) as unknown as readonly Uint8Array[];
  }
}

/** Rows of other streams are taken all the same: those that wrote them and are gone would write nothing more. */
export function putPart(space: RowSpace, part: readonly Uint8Array[]): void {
  for (let at = 0; at < part.length; at += 2) space.put(part[at] as Uint8Array, part[at + 1] as Uint8Array);
}

/** For a prune of everything below `end`: one pass over what goes. */
export async function carryProjections(
  log: EventLog,
  store: OrderedStore,
  projections: readonly Projection[],
  end: number,
): Promise<CarriedProjections> {
  const folds = projections.map((projection) => new ProjectionFold(projection, store));
  for (const fold of folds) await fold.begin(log);
  const base = log.base ?? 0;
  for await (const events of log.read({ from: base, limit: end - base })) {
    await store.transact((tx) => {
      for (const fold of folds) fold.foldAll(events, tx);
    });
  }
  return {
    carries: folds.flatMap((fold) => fold.carries(end)),
    refused: folds.flatMap(({ refusal }) => refusal ?? []),
    release: async () => {
      for (const fold of folds) await fold.release();
    },
  };
}

class ProjectionFold {
  readonly #projection: Projection;
  readonly #store: OrderedStore;
  readonly #passes: (event: RecordedEvent) => boolean;
  #shapes = new Shapes();
  #rows: RowTable;
  refusal: FoldRefusal | undefined;

  constructor(projection: Projection, store: OrderedStore) {
    this.#projection = projection;
    this.#store = store;
    this.#passes = eventFilter(projection.handles);
    this.#rows = new RowTable(projection, this.#shapes, NOWHERE);
  }

  /** With what was carried before; another prune may have left its own. */
  async begin(log: EventLog): Promise<void> {
    const table = tableOf(this.#projection);
    await this.release();
    const before = await carriedRows(log, this.#projection);
    if (before === undefined) return;
    this.#shapes = before.shapes;
    this.#rows = new RowTable(this.#projection, this.#shapes, NOWHERE);
    for await (const part of before.parts()) await this.#store.transact((tx) => putPart(tableSpace(tx, table), part));
  }

  foldAll(events: readonly RecordedEvent[], tx: OrderedWriter): void {
    const isKept = this.#projection.key.length > 0;
    this.#rows.enter(isKept ? tableSpace(tx, tableOf(this.#projection)) : NOWHERE);
    for (const event of events) this.#fold(event);
  }

  #fold(event: RecordedEvent): void {
    if (this.refusal !== undefined || !this.#passes(event)) return;
    const { position } = event;
    this.#rows.at(position);
    try {
      this.#projection.fold(this.#rows, presentEvent(this.#projection, event));
    } catch (error) {
      this.refusal = { projection: this.#projection.name, position, error };
    }
  }

  /** Nothing of a projection without a key, which is folded only to see that it can be. */
  carries(end: number): readonly StreamCarry[] {
    const { version, key, index = "" } = this.#projection;
    if (key.length === 0) return [];
    const begins = this.#partBegins();
    const head: PackedHead = [FORMAT, version, key, index, end, this.#shapes.all, begins.length];
    const parts = begins.map((gte, part) => {
      const range = { gte, ...(begins[part + 1] === undefined ? {} : { lt: begins[part + 1] as Uint8Array }) };
      return carryOf(partNameOf(this.#projection, part), () => this.#packed(range));
    });
    return [carryOf(nameOf(this.#projection), () => packState(head as unknown as StateEvent)), ...parts];
  }

  release(): Promise<void> {
    return this.#store.drop(tableOf(this.#projection));
  }

  /** The first key of each part. */
  #partBegins(): readonly Uint8Array[] {
    const begins: Uint8Array[] = [];
    let rows = PART_ROWS;
    let bytes = 0;
    for (const { key, value } of this.#store.range(tableOf(this.#projection))) {
      if (rows >= PART_ROWS || bytes >= PART_BYTES) {
        begins.push(Uint8Array.from(key));
        rows = 0;
        bytes = 0;
      }
      rows++;
      bytes += key.length + value.length;
    }
    return begins;
  }

  #packed(range: { readonly gte: Uint8Array; readonly lt?: Uint8Array }): Uint8Array {
    const rows: Uint8Array[] = [];
    // Valid until this call returns, which packs them.
    for (const { key, value } of this.#store.range(tableOf(this.#projection), range)) rows.push(key, value);
    return packState(rows as unknown as StateEvent);
  }
}

/** What is carried under a name, made when it is written. */
function carryOf(stream: string, state: () => Uint8Array): StreamCarry {
  return {
    stream,
    revision: 0,
    positions: [],
    get state() {
      return state();
    },
  };
}

type PackedHead = [
  format: number,
  version: number,
  key: readonly string[],
  index: string,
  end: number,
  shapes: Shapes["all"],
  parts: number,
];
