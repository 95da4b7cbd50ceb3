/** A test's own end of a broker that is killed: it connects again as often as needed, and does again what failed. */
import { type ChannelModel, type ConfirmChannel, connect } from "amqplib";
import { vi } from "vitest";

/** Only what hangs takes so long. */
const PATIENCE = { timeout: 120_000, interval: 50 };

interface Line {
  readonly model: ChannelModel;
  readonly channel: ConfirmChannel;
  /** Rejects when nothing more will come over it. */
  readonly ended: Promise<never>;
}

export interface Drained {
  /** The message's `message-id`. */
  readonly id: string;
  readonly data: string;
}

export class PatientClient {
  readonly #address: string;
  #line: Line | undefined;

  constructor(address: string) {
    this.#address = address;
  }

  /** A durable classic queue. */
  async makeQueue(name: string): Promise<void> {
    await this.#until((channel) => channel.assertQueue(name, { durable: true }));
  }

  /** Sends texts with themselves as ids. What was not confirmed is sent again, so the queue may have it twice. */
  async publish(queue: string, texts: readonly string[]): Promise<void> {
    const left = new Set(texts);
    await this.#until(async (channel) => {
      for (const text of left) {
        const properties = { persistent: true, messageId: text };
        channel.sendToQueue(queue, Buffer.from(text), properties, (error: unknown) => {
          if (error === null) left.delete(text);
        });
      }
      await channel.waitForConfirms();
    });
  }

  /** Takes all there is. What it was given and did not acknowledge in time comes again. */
  async drain(queue: string): Promise<Drained[]> {
    const drained: Drained[] = [];
    await this.#until(async (channel) => {
      for (;;) {
        const message = await channel.get(queue);
        if (message === false) return channel.ackAll();
        drained.push({ id: String(message.properties.messageId), data: message.content.toString() });
      }
    });
    return drained;
  }

  /** How many messages a queue has that it has given to nobody. */
  async waiting(queue: string): Promise<number> {
    return (await this.#until((channel) => channel.checkQueue(queue))).messageCount;
  }

  async close(): Promise<void> {
    const line = this.#line;
    this.#line = undefined;
    // It may have ended by itself.
    await line?.model.close().catch(() => undefined);
  }

  #until<T>(work: (channel: ConfirmChannel) => PromiseLike<T>): Promise<T> {
    return vi.waitFor(async () => {
      try {
        this.#line ??= await lineTo(this.#address);
        return await Promise.race([work(this.#line.channel), this.#line.ended]);
      } catch (error) {
        await this.close();
        throw error;
      }
    }, PATIENCE);
  }
}

async function lineTo(address: string): Promise<Line> {
  const model = await connect(`amqp://${address}`, { noDelay: true });
  // That it has ended is told by its end.
  model.on("error", () => undefined);
  const channel = await model.createConfirmChannel();
  const ended = new Promise<never>((_, reject) => {
    channel.on("error", reject);
    channel.on("close", () => reject(new Error("the channel was closed")));
  });
  ended.catch(() => undefined);
  return { model, channel, ended };
}
