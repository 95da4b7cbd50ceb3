import type { Delivery, Transport } from "@millrace/engine";
import type { SeededRandom } from "@millrace/engine/testing";

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
    const subscribing = this.#inner.subscribe(
      subject,
      (delivery) => {
        this.delivered++;
        if (this.#random.chance(0.01)) {
          this.lost++;
          delivery.ack();
          void subscribing.then((subscription) => subscription.grant(1));
        } else if (held === undefined && this.#random.chance(0.02)) {
          this.overtaken++;
          held = delivery;
        } else {
          receive(delivery);
          if (this.#random.chance(0.02)) {
            this.repeated++;
            receive({ ...delivery, ack: () => undefined });
          }
          const late = held;
          held = undefined;
          if (late !== undefined) receive(late);
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
