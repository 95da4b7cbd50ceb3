/** The receiving end of a lane over a transport: grants as its mailbox takes, puts payloads together before frames are handed over. */
import type { Link } from "../actor/link.ts";
import type { Frame } from "../frame/frame.ts";
import type { Point } from "../frame/point.ts";
import type { Env } from "../time/clock.ts";
import { ArrivingPayloads, type EdgePayloads } from "./edge-payloads.ts";
import { decodeFrame } from "./frame-codec.ts";
import type { Delivery, Subscription, Transport } from "./transport.ts";
import { unlessClosed } from "./transport-errors.ts";

export interface IncomingLaneOptions {
  readonly transport: Transport;
  readonly env: Env;
  /** Of this lane alone. */
  readonly subject: string;
  readonly path: number;
  /** Where frames are handed over. */
  readonly local: Link;
  /** The receiver writes a log: what it has durably passed will be told to {@link IncomingLane.passed}. */
  readonly isEnd: boolean;
  readonly payloads: (() => EdgePayloads) | undefined;
}

/** Frames that the receiver takes ahead of its mailbox. */
const CREDIT = 16;

export class IncomingLane {
  readonly #options: IncomingLaneOptions;
  readonly #subscribing: Promise<Subscription>;
  #arriving: ArrivingPayloads | undefined;
  /** Set while payloads are made durable: what follows waits. */
  #busy: Promise<void> | undefined;
  /** Deliveries that were taken and not granted again. */
  #owed = 0;
  #isClosed = false;

  constructor(options: IncomingLaneOptions) {
    this.#options = options;
    const { transport, subject } = options;
    this.#subscribing = transport.subscribe(subject, (delivery) => this.#receive(delivery), { credit: CREDIT });
    this.#subscribing.catch(unlessClosed);
  }

  /** Everything up to here is durable at the receiver: payloads that it named are not needed for it any more. */
  passed(cursor: Point): void {
    this.#arriving?.passed(cursor);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await (await this.#subscribing.catch(() => undefined))?.close();
    await this.#busy;
    this.#arriving?.close();
  }

  #receive(delivery: Delivery): void {
    const { payloads } = this.#options;
    const concerned = payloads !== undefined && ArrivingPayloads.concerns(delivery);
    if (this.#busy === undefined && !concerned) {
      this.#take(delivery);
      return;
    }
    const before = this.#busy ?? Promise.resolve();
    const done: Promise<void> = before
      .then(() => (concerned ? this.#takePayload(delivery, payloads) : this.#take(delivery)))
      .finally(() => {
        if (this.#busy === done) this.#busy = undefined;
      });
    this.#busy = done;
  }

  async #takePayload(delivery: Delivery, payloads: () => EdgePayloads): Promise<void> {
    this.#arriving ??= new ArrivingPayloads(payloads(), this.#options.isEnd);
    const arriving = this.#arriving;
    if (!ArrivingPayloads.isPiece(delivery)) {
      this.#take(delivery, (frame) => arriving.hand(frame, (whole) => this.#options.local.send(whole)));
      return;
    }
    // A payload that could not be kept is lost, and its frame with it: both come again.
    if (!this.#isClosed) await arriving.take(delivery).catch(() => undefined);
    delivery.ack();
    this.#grant(1);
  }

  #take(delivery: Delivery, send = (frame: Frame): void => this.#options.local.send(frame)): void {
    const { env, local, path } = this.#options;
    const frame = this.#isClosed ? undefined : readable(delivery.body, env.clock.monotonic());
    if (frame !== undefined) send(frame);
    delivery.ack();
    this.#owed++;
    if (local.hasCredit(path)) this.#settle();
    else local.whenCredit(path, this.#settle);
  }

  /** What waits for the mailbox is granted at once: it wakes a sender once, however often that asked. */
  readonly #settle = (): void => {
    this.#grant(this.#owed);
    this.#owed = 0;
  };

  #grant(credit: number): void {
    void this.#subscribing.then((subscription) => subscription.grant(credit), unlessClosed);
  }
}

/** A frame that cannot be read is lost, as one that never came. */
function readable(body: Uint8Array, bornMs: number): Frame | undefined {
  try {
    return decodeFrame(body, bornMs);
  } catch {
    return undefined;
  }
}
