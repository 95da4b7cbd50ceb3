/**
 * What receivers on other hosts tell an origin: how far they are, and what they miss. The newest of a lane makes those before it
 * needless, and lost or old ones do no harm (R21); a request that is lost is made again at the next probe (R10). The last
 * acknowledgement of all comes once, though: it counts as told when the transport has it, and the transport keeps it until the
 * origin's host has written it down.
 *
 * A host with stateless nodes does not see whether what went through them arrived. It stays until the origins before them tell it
 * that all of their lanes are over, in the same way.
 */
import type { OriginControl } from "../actor/link.ts";
import type { StateEvent } from "../behavior/committed-behavior.ts";
import { type Anchor, START_ANCHOR } from "../frame/anchor.ts";
import { type Point, START } from "../frame/point.ts";
import { packState, unpackState } from "../log/packed-payload.ts";
import { ALL_PATHS } from "../step/heard-cursors.ts";
import { type Env, sleep } from "../time/clock.ts";
import type { Delivery, Subscription, Transport } from "./transport.ts";
import { unlessClosed } from "./transport-errors.ts";

type Verb = "acknowledge" | "resume";
type Packed = readonly [verb: Verb, path: number, pos: number, ord: number, anchorPos: number, anchorWatermark: number];

const LAST_WORDS_MS = 2000;

/** Told to an origin on another host: one message is on its way at a time, what comes meanwhile is joined into the next. */
export class ToldControl implements OriginControl {
  readonly #transport: Transport;
  readonly #subject: string;
  readonly #env: Env;
  /** The newest of each verb and lane, in the order in which they were first said. */
  #waiting = new Map<string, Packed>();
  #telling: Promise<void> | undefined;
  #isClosed = false;

  constructor(transport: Transport, subject: string, env: Env) {
    this.#transport = transport;
    this.#subject = subject;
    this.#env = env;
  }

  /** The transport has all that was said. */
  get isTold(): boolean {
    return this.#telling === undefined;
  }

  acknowledge(path: number, cursor: Point, anchor: Anchor): void {
    this.#say("acknowledge", path, cursor, anchor);
  }

  resume(path: number, cursor: Point, anchor: Anchor): void {
    this.#say("resume", path, cursor, anchor);
  }

  /** The last acknowledgements still leave, if the broker is there: an origin that does not hear of the end waits for it. */
  async close(): Promise<void> {
    if (this.#telling !== undefined) await Promise.race([this.#telling, sleep(this.#env, LAST_WORDS_MS)]);
    this.#isClosed = true;
  }

  #say(verb: Verb, path: number, { pos, ord }: Point, anchor: Anchor): void {
    if (this.#isClosed) return;
    this.#waiting.set(`${verb} ${path}`, [verb, path, pos, ord, anchor.pos, anchor.watermark]);
    this.#telling ??= this.#tell();
  }

  async #tell(): Promise<void> {
    try {
      while (this.#waiting.size > 0) {
        const said = [...this.#waiting.values()];
        this.#waiting = new Map();
        const body = packState(said as readonly StateEvent[]);
        await this.#transport.publish(this.#subject, { headers: {}, body }).catch(unlessClosed);
      }
    } finally {
      // In the turn that found nothing waiting: a later one would leave untold what was said between.
      this.#telling = undefined;
    }
  }
}

/** What a host has written down of an origin. */
export interface OriginLedger {
  /** An origin on another host has said that all of its lanes are over. */
  readonly isOver: boolean;
  /** Writes down how far a lane is; resolves when that is durable, so that whoever said it may forget it. */
  write(path: number, cursor: Point, anchor: Anchor): Promise<void>;
}

const CREDIT = 64;

/** Hears what receivers on other hosts tell an origin of this one; those of this host tell it directly. */
export class HeardControl implements OriginControl {
  readonly #local: OriginControl;
  readonly #ledger: OriginLedger;
  readonly #subscribing: Promise<Subscription>;

  constructor(transport: Transport, subject: string, local: OriginControl, ledger: OriginLedger) {
    this.#local = local;
    this.#ledger = ledger;
    this.#subscribing = transport.subscribe(subject, (delivery) => void this.#hear(delivery), { credit: CREDIT });
    this.#subscribing.catch(unlessClosed);
  }

  acknowledge(path: number, cursor: Point, anchor: Anchor): void {
    this.#local.acknowledge(path, cursor, anchor);
  }

  resume(path: number, cursor: Point, anchor: Anchor): void {
    this.#local.resume(path, cursor, anchor);
  }

  async close(): Promise<void> {
    await (await this.#subscribing.catch(unlessClosed))?.close();
  }

  async #hear(delivery: Delivery): Promise<void> {
    const written = heard(delivery.body).map(([verb, path, pos, ord, anchorPos, watermark]) => {
      const [cursor, anchor] = [
        { pos, ord },
        { pos: anchorPos, watermark },
      ];
      this.#local[verb](path, cursor, anchor);
      return verb === "acknowledge" ? this.#ledger.write(path, cursor, anchor) : undefined;
    });
    try {
      const subscription = await this.#subscribing;
      await Promise.all(written);
      delivery.ack();
      subscription.grant(1);
    } catch {
      // The log takes nothing any more, so the host is about to end: it hears this again when it is back.
    }
  }
}

/** What cannot be read is lost, as what never came. */
function heard(body: Uint8Array): readonly Packed[] {
  try {
    const said = unpackState(body);
    return Array.isArray(said) ? said.filter(isPacked) : [];
  } catch {
    return [];
  }
}

function isPacked(said: unknown): said is Packed {
  if (!Array.isArray(said)) return false;
  const [verb, ...numbers] = said;
  return (verb === "acknowledge" || verb === "resume") && numbers.length === 5 && numbers.every(isNumber);
}

function isNumber(value: unknown): boolean {
  return typeof value === "number";
}

/** Told to the host of a stateless node: what comes to it from an origin of this host is over. */
export class ToldOver {
  readonly #transport: Transport;
  readonly #subject: string;
  #telling: Promise<void> | undefined;
  isTold = false;

  constructor(transport: Transport, subject: string) {
    this.#transport = transport;
    this.#subject = subject;
  }

  tell(): void {
    this.#telling ??= this.#transport.publish(this.#subject, { headers: {}, body: new Uint8Array() }).then(() => {
      this.isTold = true;
    }, unlessClosed);
  }
}

/** Hears the same, once and for all. */
export class HeardOver {
  readonly #subscribing: Promise<Subscription>;
  isOver: boolean;

  constructor(transport: Transport, subject: string, ledger: OriginLedger) {
    this.isOver = ledger.isOver;
    this.#subscribing = transport.subscribe(subject, (delivery) => void this.#hear(delivery, ledger), { credit: 1 });
    this.#subscribing.catch(unlessClosed);
  }

  async close(): Promise<void> {
    await (await this.#subscribing.catch(unlessClosed))?.close();
  }

  async #hear(delivery: Delivery, ledger: OriginLedger): Promise<void> {
    try {
      const subscription = await this.#subscribing;
      await ledger.write(ALL_PATHS, START, START_ANCHOR);
      this.isOver = true;
      delivery.ack();
      subscription.grant(1);
    } catch {
      // As with acknowledgements.
    }
  }
}
