/**
 * The intake of a feed whose messages are bytes, in a format. Where all that the format needs is there, they are handed on at once; else they
 * wait, and all behind them, so that nothing is overtaken. What a sender waits for a receipt of bounds itself; of anything else no more waits
 * than a limit of bytes, and what comes beyond it is counted as lost.
 */
import {
  type ConnectionStatus,
  type Env,
  type FeedGroup,
  type FeedIntake,
  type FeedReceipt,
  type Json,
  MillraceError,
  messageOf,
  sleep,
} from "@millrace/engine";
import { beginningOf, decoded } from "../format/decoded.ts";
import { connectionsOf, type DecodeMessage, type MessageDecoder } from "../format/message-format.ts";

export interface MessageIntake extends FeedIntake {
  /**
   * Takes a body that is a message, and rejects any other with its place. `where` is that for people, such as a queue; `around` makes the
   * message of what the body says.
   */
  takeBody(body: Uint8Array, where: string, receipt?: FeedReceipt, around?: (value: Json) => Json): void;
}

interface Waiting {
  /** Absent: it is only behind one that waits. */
  readonly body?: Uint8Array;
  readonly receipt: FeedReceipt | undefined;
  /** It is what came, and not what follows from that. */
  readonly isMessage: boolean;
  readonly hand: (decode: DecodeMessage) => void;
}

interface Message {
  readonly body: Uint8Array;
  readonly where: string;
  readonly receipt: FeedReceipt | undefined;
  readonly around: ((value: Json) => Json) | undefined;
}

/** Of what nobody is told of. */
const WAITING_BYTES_MAX = 64 * 1024 * 1024;
const RETRY_MS = 1000;
const NOTHING: readonly Uint8Array[] = [];

export class DecodingIntake implements MessageIntake {
  readonly #intake: FeedIntake;
  readonly #format: MessageDecoder;
  readonly #env: Env;
  readonly #signal: AbortSignal;
  #waiting: Waiting[] = [];
  /** Of those that wait and that nobody is told of. */
  #bytes = 0;
  #isPreparing = false;
  /** Why the first that waits could not be decoded yet. */
  #refused: string | undefined;

  constructor(intake: FeedIntake, format: MessageDecoder, env: Env, signal: AbortSignal) {
    this.#intake = intake;
    this.#format = format;
    this.#env = env;
    this.#signal = signal;
  }

  get cursor(): Json | undefined {
    return this.#intake.cursor;
  }

  /** The connection of the format, if it has one. One that answers is of no use while what it answers is not what is needed. */
  get connections(): readonly ConnectionStatus[] {
    const reason = this.#refused;
    const statuses = connectionsOf(this.#format);
    if (reason === undefined) return statuses;
    return statuses.map((status) => (status.state === "up" ? { ...status, state: "backing-off", reason } : status));
  }

  takeBody(body: Uint8Array, where: string, receipt?: FeedReceipt, around?: (value: Json) => Json): void {
    const message = { body, where, receipt, around };
    const decode = this.#waiting.length > 0 ? undefined : this.#format.ready([body]);
    if (decode !== undefined) this.#hand(message, decode);
    else this.#wait({ body, receipt, isMessage: true, hand: (prepared) => this.#hand(message, prepared) });
  }

  take(message: Json, receipt?: FeedReceipt): void {
    this.#behind({ receipt, isMessage: false, hand: () => this.#intake.take(message, receipt) });
  }

  takeGroup(group: FeedGroup): void {
    this.#behind({ receipt: undefined, isMessage: false, hand: () => this.#intake.takeGroup(group) });
  }

  reject(error: unknown, input: Json, receipt?: FeedReceipt): void {
    this.#behind({ receipt, isMessage: true, hand: () => this.#intake.reject(error, input, receipt) });
  }

  lose(count: number, reason: string): void {
    this.#intake.lose(count, reason);
  }

  /** Messages that wait, and that a receipt was to be given for, come again. */
  forget(): void {
    this.#waiting = this.#waiting.filter(({ isMessage, receipt }) => !isMessage || receipt?.settle === undefined);
  }

  #hand({ body, where, receipt, around }: Message, decode: DecodeMessage): void {
    let value: Json;
    try {
      value = decoded(body, decode, () => ({ name: `a message of ${where}`, at: { stream: where } }));
      // What a sender says beside the body may be as unexpected as the body: thrown here it would end the connection, over and over.
      if (around !== undefined) value = around(value);
    } catch (error) {
      this.#intake.reject(error, beginningOf(body), receipt);
      return;
    }
    this.#intake.take(value, receipt);
  }

  #behind(waiting: Waiting & { hand(): void }): void {
    if (this.#waiting.length === 0) waiting.hand();
    else this.#wait(waiting);
  }

  #wait(waiting: Waiting): void {
    const bytes = boundedBytesOf(waiting);
    if (bytes > 0 && this.#bytes + bytes > WAITING_BYTES_MAX) {
      this.#intake.lose(1, "came while a schema was waited for");
      return;
    }
    this.#bytes += bytes;
    this.#waiting.push(waiting);
    if (!this.#isPreparing) void this.#prepare();
  }

  /** Until nothing waits. */
  async #prepare(): Promise<void> {
    this.#isPreparing = true;
    while (!this.#signal.aborted) {
      const [first] = this.#waiting;
      if (first === undefined) break;
      const decode = await this.#prepared(first);
      if (decode !== undefined && !this.#signal.aborted) this.#handOn(first, decode);
    }
    this.#isPreparing = false;
    this.#refused = undefined;
  }

  /** `undefined`: not now, and a while has passed. */
  async #prepared(waiting: Waiting): Promise<DecodeMessage | undefined> {
    try {
      const decode = await this.#format.prepared(valuesOf(waiting));
      this.#refused = undefined;
      return decode;
    } catch (error) {
      this.#refused = messageOf(error);
      const waitMs = (error instanceof MillraceError ? error.retryAfterMs : undefined) ?? RETRY_MS;
      await sleep(this.#env, waitMs, this.#signal).catch(() => undefined);
      return undefined;
    }
  }

  /** The first, unless it was forgotten, and all behind it that need nothing more. */
  #handOn(first: Waiting, decodeFirst: DecodeMessage): void {
    let n = 0;
    for (const waiting of this.#waiting) {
      const decode = waiting === first ? decodeFirst : this.#format.ready(valuesOf(waiting));
      if (decode === undefined) break;
      this.#bytes -= boundedBytesOf(waiting);
      waiting.hand(decode);
      n++;
    }
    this.#waiting.splice(0, n);
  }
}

const valuesOf = ({ body }: Waiting): readonly Uint8Array[] => (body === undefined ? NOTHING : [body]);

/** A receipt bounds what waits for it. */
function boundedBytesOf({ body, receipt }: Waiting): number {
  return receipt?.settle === undefined ? (body?.length ?? 0) : 0;
}
