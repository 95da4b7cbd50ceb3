/** What streams and channels ask of Redis: of a server, or of the one in the process. */

export type StreamField = readonly [name: string, value: Uint8Array];

export interface StreamEntry {
  readonly id: string;
  readonly fields: readonly StreamField[];
}

/** Entries of a stream, and what the stream was at the same moment. */
export interface StreamLook {
  readonly entries: readonly StreamEntry[];
  /** Id of the oldest entry that there still is. */
  readonly first: string | undefined;
  /** Of the newest that there ever was. */
  readonly last: string;
  /** Nothing behind the id that was asked from was removed from the front. False: it does not show by the entries. */
  readonly isWhole: boolean;
  /** What the server counts. Absent: it does not, as before Redis 7. */
  readonly counts?: StreamCounts;
}

export interface StreamCounts {
  /** Entries that were ever added. */
  readonly added: number;
  /** Entries that there are. */
  readonly there: number;
  /** Id of the newest that was deleted by its id; trimming does not count. */
  readonly deleted: string;
}

/** Messages of a lane, to be added behind the lane's cursor, which is kept beside the stream. */
export interface StreamAddition {
  readonly key: string;
  readonly cursors: string;
  readonly lane: string;
  /** Field of an entry that a message is put into. */
  readonly field: string;
  readonly messages: readonly { readonly pos: number; readonly ord: number; readonly body: Buffer }[];
}

export interface RedisClient {
  /** Resolves with the reason, if there is one. */
  readonly ended: Promise<unknown>;
  /** At most `max` entries behind an id. @throws SOURCE-MISSING */
  look(key: string, after: string, max: number): Promise<StreamLook>;
  /** Resolves when there is an entry behind an id, or the time is over. */
  wait(key: string, after: string, ms: number): Promise<void>;
  /** Id of the newest entry that there ever was. @throws SOURCE-MISSING */
  lastId(key: string): Promise<string>;
  /** Where each lane stands, as `pos/ord`; empty: the target forgets. */
  cursors(key: string): Promise<Readonly<Record<string, string>>>;
  /** Those that lie above the lane's cursor, which it moves, in one atomic step; the cursor after it, `""`: there is none. */
  add(addition: StreamAddition): Promise<string>;
  publish(channel: string, body: Buffer): Promise<void>;
  /** Resolves when what is published from then on is taken, until the client ends. */
  subscribe(channel: string, take: (data: Uint8Array) => void): Promise<void>;
}
