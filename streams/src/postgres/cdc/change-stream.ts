/**
 * One connection's stream of changes. Transactions come whole and in the order of their commits; each is handed on as a group, a large one
 * as several that follow one another. While what was handed on is not durable the socket is not read, so the server waits.
 */
import { type Env, type FeedItem, messageOf, type Timer } from "@millrace/engine";
import type { Client, ClientConfig } from "pg";
import { LogicalReplicationService } from "pg-logical-replication";
import { within } from "../../resilience/within.ts";
import { whileBusy } from "../../sql/busy-sessions.ts";
import { cursorAt } from "./change-cursor.ts";
import { type ChangeMessage, changeRows, rowCount, type Transaction, tablesOf, transactionOf } from "./change-rows.ts";
import { ColumnTypes } from "./column-types.ts";
import { type ChangePoint, isBefore, lsnOf, lsnText } from "./lsn.ts";
import { type RawMessage, RawPgoutput } from "./raw-pgoutput.ts";
import { isInRows } from "./rows-read.ts";
import { enterSlot, type SlotEntry } from "./slot-entry.ts";

export interface ChangeStreamOptions extends SlotEntry {
  readonly env: Env;
  /** A session for questions, to the same server. */
  readonly client: Client;
  readonly config: ClientConfig;
  /** @param process of the server, that streams */
  readonly started: (now: bigint, process: number) => void;
  /** Where the source ends; asked once it has started. */
  readonly end: () => bigint | undefined;
  readonly probeEveryMs: number;
  readonly probeTimeoutMs: number;
}

interface Chunk {
  readonly items: FeedItem[];
  bytes: number;
}

/** Rows and bytes of a group at which it is handed on, though its transaction goes on. */
const GROUP_ROWS_MAX = 1000;
const GROUP_BYTES_MAX = 1024 * 1024;
/** How often the server is told how far it is, also while nothing is read: it gives up who says nothing for a minute. */
const STATUS_MS = 5000;
/** Confirmations are sent together. */
const CONFIRM_MS = 20;
/** The log of a server that has no changes for this source grows, too: after so much of it, or so long, the slot follows. */
const FOLLOW_BYTES = 1024n * 1024n;
const FOLLOW_MS = 10_000;
/** Values as `row_to_json` wants them. */
const FORMATS = "-c timezone=UTC -c datestyle=ISO -c intervalstyle=iso_8601";

export class ChangeStream {
  readonly #options: ChangeStreamOptions;
  readonly #service: LogicalReplicationService;
  readonly #plugin: RawPgoutput;
  readonly #types: ColumnTypes;
  readonly #over: Promise<never>;
  readonly #ended: Promise<void>;
  #fail: (error: unknown) => void = () => undefined;
  #end: () => void = () => undefined;
  #isOver = false;
  #process = 0;
  #system = "";
  #transaction: Transaction | undefined;
  #ordinal = 0;
  #chunk: Chunk = { items: [], bytes: 0 };
  /** Waits for what was handed on. */
  #isFull = false;
  #processed = 0;
  #heard = 0;
  /** The server has sent everything below, once so many messages were processed. */
  #mark: { readonly lsn: bigint; readonly after: number } | undefined;
  #followedMs: number;
  #confirming: Timer | undefined;
  #beat: Timer | undefined;

  constructor(options: ChangeStreamOptions) {
    this.#options = options;
    this.#types = new ColumnTypes(options.client);
    this.#plugin = new RawPgoutput(options.publication, (client) => this.#open(client));
    this.#service = new LogicalReplicationService(
      { ...options.config, options: FORMATS },
      { acknowledge: { auto: false, timeoutSeconds: 0 }, flowControl: { enabled: true } },
    );
    this.#followedMs = options.env.clock.monotonic();
    this.#over = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.#over.catch(() => undefined);
    this.#ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** Resolves when the source has come to its end and all is durable; rejects when the stream is broken. */
  async run(): Promise<void> {
    const service = this.#service;
    service.on("error", (error) => this.#broken(error));
    // biome-ignore lint/nursery/noMisusedPromises: with its flow control the library waits for the promise, which never rejects.
    service.on("data", (_lsn, message: RawMessage) => this.#take(message));
    service.on("heartbeat", (lsn) => this.#hear(lsnOf(lsn)));
    service.on("start", () => this.#keepAlive());
    const streaming = service.subscribe(this.#plugin, this.#options.slot).then(() => {
      throw new Error("the server ended the stream of changes");
    });
    streaming.catch(() => undefined);
    // Whoever wants the source to stop ends the session for questions.
    this.#options.client.once("end", () => this.#broken(new Error("the connection has ended")));
    try {
      await Promise.race([streaming, this.#over, this.#ended]);
    } finally {
      this.#isOver = true;
      this.#beat?.cancel();
      this.#confirming?.cancel();
      // A link that is cut would never answer the farewell, so nobody waits for it.
      service.destroy().catch(() => undefined);
    }
  }

  async #open(client: Client): Promise<string> {
    const { cursor, now } = await enterSlot(client, this.#options, () => this.#confirmSoon());
    // The library's types leave it out.
    this.#process = (client as Client & { readonly processID: number }).processID;
    this.#system = cursor.system;
    this.#options.started(now, this.#process);
    return lsnText(cursor.lsn);
  }

  async #take(message: RawMessage): Promise<void> {
    if (this.#isOver) return;
    try {
      await this.#handle(message);
      this.#processed++;
      await this.#passMark();
    } catch (error) {
      this.#broken(error);
    }
  }

  async #handle(message: RawMessage): Promise<void> {
    switch (message.tag) {
      case "begin":
        return this.#begins(message);
      case "insert":
      case "update":
      case "delete":
      case "truncate":
        return this.#changes(message);
      case "commit":
        return this.#commits();
      case "unreadable":
        throw new Error(`the server sent what cannot be read: ${messageOf(message.cause)}`, { cause: message.cause });
    }
  }

  async #begins(message: Extract<RawMessage, { tag: "begin" }>): Promise<void> {
    const transaction = transactionOf(message);
    const end = this.#options.end();
    if (end !== undefined && transaction.lsn >= end) return this.#finish(transaction.lsn);
    this.#transaction = transaction;
    this.#ordinal = 0;
  }

  async #changes(message: ChangeMessage): Promise<void> {
    const transaction = this.#transaction;
    if (transaction === undefined) throw new Error("a change came outside of a transaction");
    const ordinal = this.#ordinal;
    this.#ordinal += rowCount(message);
    // A transaction that was taken in part comes again from its beginning.
    if (!this.#isNew({ lsn: transaction.lsn, ord: this.#ordinal - 1 })) return;
    const wasRead = tablesOf(message).map((oid) => isInRows(this.#options.progress.taken?.rows, oid, transaction.lsn));
    if (!wasRead.includes(false)) return;
    const rows = await changeRows(message, transaction, ordinal, this.#types);
    for (const [i, { row, bytes }] of rows.entries()) {
      if (wasRead[i] === true || !this.#isNew({ lsn: transaction.lsn, ord: ordinal + i })) continue;
      // What is large by itself is a group by itself, so that the log can refuse it alone.
      if (this.#chunk.bytes + bytes > GROUP_BYTES_MAX) await this.#hand({ lsn: transaction.lsn, ord: ordinal + i });
      this.#chunk.items.push({ message: row });
      this.#chunk.bytes += bytes;
      if (this.#chunk.items.length >= GROUP_ROWS_MAX) await this.#hand({ lsn: transaction.lsn, ord: ordinal + i + 1 });
    }
  }

  async #commits(): Promise<void> {
    const transaction = this.#transaction;
    if (transaction === undefined) throw new Error("a commit came outside of a transaction");
    const point = { lsn: transaction.lsn + 1n, ord: 0 };
    const isPartly = this.#options.progress.taken?.lsn === transaction.lsn;
    if (this.#chunk.items.length > 0 || isPartly) await this.#hand(point, true);
    this.#transaction = undefined;
  }

  #isNew(point: ChangePoint): boolean {
    const { taken } = this.#options.progress;
    return taken === undefined || !isBefore(point, taken);
  }

  /** @param whole the transaction ends here, so the place is handed on also without rows */
  async #hand(point: ChangePoint, whole = false): Promise<void> {
    const { intake, progress } = this.#options;
    const chunk = this.#chunk;
    if (chunk.items.length === 0 && !whole) return;
    this.#isFull = true;
    await progress.room();
    this.#isFull = false;
    if (this.#isOver) return;
    this.#chunk = { items: [], bytes: 0 };
    progress.hand(intake, chunk, cursorAt(this.#system, point, progress.taken?.rows), () => this.#confirmSoon());
  }

  /** What was sent before may still wait to be processed. */
  #hear(lsn: bigint): void {
    this.#heard++;
    this.#mark = { lsn, after: this.#plugin.received };
    this.#passMark().catch((error: unknown) => this.#broken(error));
  }

  async #passMark(): Promise<void> {
    const mark = this.#mark;
    if (mark === undefined || mark.after > this.#processed || this.#transaction !== undefined || this.#isOver) return;
    this.#mark = undefined;
    const end = this.#options.end();
    if (end !== undefined && mark.lsn >= end) await this.#finish(mark.lsn);
    else this.#follow(mark.lsn);
  }

  /** The slot moves on with the log of the server, though there is nothing in it for this source. */
  #follow(lsn: bigint, isLast = false): void {
    const { env, intake, progress } = this.#options;
    const behind = lsn - (progress.taken?.lsn ?? lsn);
    const isDue = behind >= FOLLOW_BYTES || env.clock.monotonic() - this.#followedMs >= FOLLOW_MS || isLast;
    if (behind <= 0n || !isDue) return;
    this.#followedMs = env.clock.monotonic();
    const cursor = cursorAt(this.#system, { lsn, ord: 0 }, progress.taken?.rows);
    progress.hand(intake, { items: [], bytes: 0 }, cursor, () => this.#confirmSoon());
  }

  async #finish(lsn: bigint): Promise<void> {
    this.#follow(lsn, true);
    await this.#options.progress.settledAll();
    if (this.#isOver) return;
    await this.#confirm(false);
    this.#isOver = true;
    this.#end();
  }

  #confirmSoon(): void {
    if (this.#isOver || this.#confirming !== undefined) return;
    this.#confirming = this.#options.env.timers.after(CONFIRM_MS, () => {
      this.#confirming = undefined;
      void this.#confirm(false);
    });
  }

  /** The library confirms the byte behind what it is given. */
  async #confirm(asks: boolean): Promise<void> {
    const durable = this.#options.progress.confirmed;
    if (durable === undefined) return;
    await this.#service.acknowledge(lsnText(durable - 1n), asks).catch((error: unknown) => this.#broken(error));
  }

  /** Says where it is, asks for an answer, and looks for one. */
  #keepAlive(): void {
    const { env, probeEveryMs, probeTimeoutMs } = this.#options;
    void this.#confirm(!this.#isFull);
    const before = this.#heard + this.#plugin.received;
    const wasFull = this.#isFull;
    const next = (): void => {
      const waitMs = Math.max(0, Math.min(probeEveryMs, STATUS_MS) - probeTimeoutMs);
      if (!this.#isOver) this.#beat = env.timers.after(waitMs, () => this.#keepAlive());
    };
    this.#beat = env.timers.after(probeTimeoutMs, () => {
      const isSilent = before === this.#heard + this.#plugin.received && !wasFull && !this.#isFull;
      if (isSilent) void this.#requireWorking().then(next);
      else next();
    });
  }

  /** A server that reads its log for long does not answer meanwhile; one that waits for its client has answered, or cannot send. */
  async #requireWorking(): Promise<void> {
    const { env, client, probeTimeoutMs } = this.#options;
    const ask = "select from pg_stat_activity where pid = $1 and wait_event_type is distinct from 'Client'";
    const late = (): Error => new Error(`no answer in ${probeTimeoutMs} ms`);
    try {
      const asked = whileBusy(client, () => client.query(ask, [this.#process]));
      const { rowCount } = await within(env, probeTimeoutMs, asked, late);
      if (rowCount !== 1) throw new Error("the server does not work for the stream any more");
    } catch (error) {
      this.#broken(error);
    }
  }

  #broken(error: unknown): void {
    this.#isOver = true;
    this.#fail(error);
  }
}
