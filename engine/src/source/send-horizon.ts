/**
 * How far a source partition may have sent, in any incarnation, written down before it is sent. A new revision takes effect at
 * that point (R22): nothing beyond it was ever delivered under the old one, not even by a host that died before it could commit.
 */

import type { EventContext, EventLog } from "../log/event-log.ts";
import { packState, unpackState } from "../step/step-record.ts";
import type { Random } from "../time/clock.ts";

export const HORIZON = "Horizon";

export interface SendHorizonOptions {
  readonly log: EventLog;
  /** Stream of the source node. */
  readonly stream: string;
  readonly partition: string;
  readonly context: Omit<EventContext, "causationId" | "correlationId">;
  readonly random: Random;
}

export class SendHorizon {
  readonly #options: SendHorizonOptions;
  /** What earlier incarnations may have sent. */
  readonly inherited: number;
  #reached: number;
  #extending: Promise<void> | undefined;

  private constructor(options: SendHorizonOptions, reached: number) {
    this.#options = options;
    this.inherited = reached;
    this.#reached = reached;
  }

  /** Reads where earlier incarnations were allowed to send to. */
  static async open(options: SendHorizonOptions): Promise<SendHorizon> {
    const read = { direction: "backward", filter: { types: [HORIZON] } } as const;
    for await (const events of options.log.readStream(options.stream, read)) {
      for (const event of events) {
        const [partition, pos] = unpackState(event.payload) as [string, number];
        if (partition === options.partition) return new SendHorizon(options, pos);
      }
    }
    return new SendHorizon(options, -1);
  }

  /**
   * Makes sure that positions up to `through` may be sent. The log is asked for `ahead` positions more, and before they are used
   * up, so that a running source hardly ever waits.
   */
  async cover(through: number, ahead: number): Promise<void> {
    if (through + ahead / 2 > this.#reached) void this.#start(through + ahead);
    while (through > this.#reached) await this.#start(through + ahead);
  }

  /** The incarnation ends in order, having sent up to `sent`: what the log was asked for ahead was not used. */
  async settle(sent: number): Promise<void> {
    await this.#extending?.catch(() => undefined);
    const used = Math.max(this.inherited, sent);
    if (used < this.#reached) await this.#log(used);
  }

  #start(to: number): Promise<void> {
    this.#extending ??= this.#extend(to);
    // One that fails ahead of need is tried again when it is needed, and fails there.
    this.#extending.catch(() => undefined);
    return this.#extending;
  }

  async #extend(to: number): Promise<void> {
    try {
      await this.#log(to);
      this.#reached = Math.max(this.#reached, to);
    } finally {
      this.#extending = undefined;
    }
  }

  async #log(to: number): Promise<void> {
    const { log, stream, partition, context, random } = this.#options;
    const id = random.bytes(16);
    const event = {
      id,
      type: HORIZON,
      schemaVersion: 1,
      context: { ...context, causationId: id, correlationId: id },
      payload: packState([partition, to]),
    };
    await log.append([{ stream, expected: "any", events: [event] }]);
  }
}
