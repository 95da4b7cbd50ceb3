import type { Delivery, Transport } from "@millrace/engine";
import type { SeededRandom } from "@millrace/engine/testing";

const LATE_MS = 100;

/** What receivers tell: a transport keeps that until it is written down, for the last of it comes once. */
const TOLD = /\.(?:control|over)\./;

/** Mistreats what comes over a real transport. */
export class ChaosTransport implements Transport {
  readonly bodyBytesMax: number;
  readonly #inner: Transport;
  readonly #random: SeededRandom;
  delivered = 0;
  lost = 0;
  repeated = 0;
  overtaken = 0;

  constructor(inner: Transport, random: SeededRandom) {
    this.#inner = inner;
    this.#random = random;
    this.bodyBytesMax = inner.bodyBytesMax;
  }

  publish(subject: string, message: { headers: Readonly<Record<string, string>>; body: Uint8Array }): Promise<void> {
    return this.#inner.publish(subject, message);
  }

  subscribe(
    subject: string,
    receive: (delivery: Delivery) => void,
    options: { readonly credit?: number } = {},
  ): ReturnType<Transport["subscribe"]> {
    let held: Delivery | undefined;
    const letGo = (late: Delivery | undefined): void => {
      if (late === undefined || held !== late) return;
      held = undefined;
      receive(late);
    };
    const subscribing = this.#inner.subscribe(
      subject,
      (delivery) => {
        this.delivered++;
        if (!TOLD.test(subject) && this.#random.chance(0.01)) {
          this.lost++;
          delivery.ack();
          void subscribing.then((subscription) => subscription.grant(1));
        } else if (held === undefined && this.#random.chance(0.02)) {
          this.overtaken++;
          held = delivery;
          // The one that is to overtake it needs credit; if none comes, it was the last and arrives late.
          void subscribing.then((subscription) => subscription.grant(1));
          setTimeout(letGo, LATE_MS, delivery);
        } else {
          receive(delivery);
          if (this.#random.chance(0.02)) {
            this.repeated++;
            receive({ ...delivery, ack: () => undefined });
          }
          letGo(held);
        }
      },
      options,
    );
    return subscribing;
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
