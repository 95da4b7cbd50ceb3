/**
 * Lists of events across streams, each event of a list numbered from 0 in the order of positions: what EventStoreDB keeps as streams of
 * links (`$ce-`, `$et-`, `$bc-`, `$streams`) and a log of ours answers from its index, without a link in the log.
 */
/** Names one list. */
export type EventList =
  /** Every event of the streams whose names begin with the category, see {@link categoryOf}. */
  | { readonly category: string }
  | { readonly type: string }
  /** Every event that has it, see `tagsOf`. */
  | { readonly tag: string }
  /** 16 bytes. */
  | { readonly correlationId: Uint8Array }
  /** The first event of every stream. */
  | { readonly starts: true };

/**
 * Where the events of a list are; the events themselves are read with `listFilter`. Numbers never change while the log's index
 * stands; an index that is rebuilt after pruning counts what is kept.
 */
export interface EventLists {
  /** How many events of the list are durable at the call. */
  countOf(list: EventList): Promise<number>;
  /** Position of the list's event with this number, counted from 0; `undefined` when there are not so many. */
  positionOf(list: EventList, number: number): Promise<number | undefined>;
}

/**
 * What is before the first `-` of a stream's name, as EventStoreDB's `$by_category` takes it by default. Streams without one, or with
 * nothing before it, and those of the system (`$…`) have no category.
 */
export function categoryOf(stream: string): string | undefined {
  const at = stream.indexOf("-");
  return at > 0 && !stream.startsWith("$") ? stream.slice(0, at) : undefined;
}
