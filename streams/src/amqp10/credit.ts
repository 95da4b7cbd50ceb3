/**
 * Gives credit for as many messages as may be unsettled, less those that are and those that may still come. A broker may send more than it was
 * given credit for, as RabbitMQ 3 does where messages are under way while it is given more; the client then has no credit left to take off, and
 * what came beyond it must not be given again when it is settled.
 */
import type { Receiver } from "rhea";

export class Credit {
  readonly #receiver: Receiver;
  readonly #unsettledMax: number;
  #unsettled = 0;

  constructor(receiver: Receiver, unsettledMax: number) {
    this.#receiver = receiver;
    this.#unsettledMax = unsettledMax;
  }

  took(): void {
    this.#unsettled++;
  }

  settled(): void {
    this.#unsettled--;
    this.give();
  }

  give(): void {
    const room = this.#unsettledMax - this.#unsettled - outstandingOf(this.#receiver);
    if (room > 0) this.#receiver.add_credit(room);
  }
}

/** What was given and not used. Known to the client's code, not to its types. */
const outstandingOf = (receiver: Receiver): number => (receiver as unknown as { readonly credit: number }).credit;
