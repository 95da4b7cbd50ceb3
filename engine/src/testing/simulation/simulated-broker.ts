/**
 * A broker between the hosts of a simulated graph. It outlives them and keeps every promise of the port (`transportContract`): what
 * a host has not answered for when it dies comes again to the one after it.
 */
import type { Env } from "../../time/clock.ts";
import type { Delivery, Transport, TransportMessage } from "../../transport/transport.ts";
import { transportError } from "../../transport/transport-errors.ts";

const CAPACITY = 64;
const BODY_BYTES_MAX = 4 * 1024 * 1024;
/** Of a message to the broker, and from it. */
const WAY_MS = 2;

export class SimulatedBroker {
  readonly #subjects = new Map<string, Subject>();

  /** The connection of one process, which ends with it. */
  connect(env: Env): Transport {
    return new Connection(env, (name) => this.#subject(name));
  }

  #subject(name: string): Subject {
    const subject = this.#subjects.get(name) ?? new Subject(name);
    this.#subjects.set(name, subject);
    return subject;
  }
}

class Connection implements Transport {
  readonly bodyBytesMax = BODY_BYTES_MAX;
  readonly #env: Env;
  readonly #subject: (name: string) => Subject;
  readonly #whenClosed: Promise<never>;
  #isClosed = false;
  #refuse: (reason: Error) => void = () => undefined;

  constructor(env: Env, subject: (name: string) => Subject) {
    this.#env = env;
    this.#subject = subject;
    this.#whenClosed = new Promise((_, reject) => {
      this.#refuse = reject;
    });
    this.#whenClosed.catch(() => undefined);
  }

  async publish(subject: string, { headers, body }: TransportMessage): Promise<void> {
    if (body.length > BODY_BYTES_MAX) throw transportError("TRANSPORT-TOO-LARGE", `a body of ${body.length} bytes`);
    const message = { headers, body: new Uint8Array(body) };
    await this.#while(this.#onTheWay().then(() => this.#subject(subject).take(message)));
  }

  async subscribe(
    name: string,
    receive: (delivery: Delivery) => void,
    { credit = 0 }: { readonly credit?: number } = {},
  ): ReturnType<Transport["subscribe"]> {
    await this.#while(this.#onTheWay());
    const subject = this.#subject(name);
    const receiver: Receiver = { env: this.#env, credit, receive };
    subject.attach(receiver);
    return { grant: (more) => subject.grant(receiver, more), close: async () => subject.detach(receiver) };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#refuse(transportError("TRANSPORT-CLOSED", "the connection was closed"));
  }

  #while(work: Promise<void>): Promise<void> {
    return this.#isClosed ? this.#whenClosed : Promise.race([this.#whenClosed, work]);
  }

  #onTheWay(): Promise<void> {
    return new Promise((resolve) => void this.#env.timers.after(WAY_MS, resolve));
  }
}

interface Receiver {
  readonly env: Env;
  readonly receive: (delivery: Delivery) => void;
  credit: number;
}

interface Held {
  readonly message: TransportMessage;
  readonly sequence: number;
  attempt: number;
}

class Subject {
  readonly #name: string;
  /** By sequence. */
  #waiting: Held[] = [];
  /** Delivered, and not answered for. */
  readonly #given = new Set<Held>();
  readonly #publishers: (() => void)[] = [];
  #receiver: Receiver | undefined;
  #sequence = 0;

  constructor(name: string) {
    this.#name = name;
  }

  /** Resolves once there is room. */
  take(message: TransportMessage): Promise<void> {
    return new Promise((resolve) => {
      this.#publishers.push(() => {
        this.#waiting.push({ message, sequence: this.#sequence++, attempt: 0 });
        resolve();
      });
      this.#move();
    });
  }

  /** Replaces the receiver before it, which may be dead. */
  attach(receiver: Receiver): void {
    this.#leave();
    this.#receiver = receiver;
    this.#move();
  }

  grant(receiver: Receiver, more: number): void {
    receiver.credit += more;
    this.#move();
  }

  detach(receiver: Receiver): void {
    if (this.#receiver === receiver) this.#leave();
  }

  #leave(): void {
    this.#receiver = undefined;
    for (const held of this.#given) this.#putBack(held);
  }

  #putBack(held: Held): void {
    this.#given.delete(held);
    this.#waiting.push(held);
    this.#waiting.sort((a, b) => a.sequence - b.sequence);
  }

  #move(): void {
    while (this.#publishers.length > 0 && this.#waiting.length + this.#given.size < CAPACITY)
      this.#publishers.shift()?.();
    const receiver = this.#receiver;
    while (receiver !== undefined && receiver.credit > 0) {
      const held = this.#waiting.shift();
      if (held === undefined) return;
      receiver.credit--;
      held.attempt++;
      this.#given.add(held);
      const delivery = this.#delivery(held);
      receiver.env.timers.after(WAY_MS, () => {
        if (this.#receiver === receiver) receiver.receive(delivery);
      });
    }
  }

  #delivery(held: Held): Delivery {
    const { attempt, message } = held;
    const answered = (): boolean => held.attempt !== attempt || !this.#given.has(held);
    return {
      ...message,
      subject: this.#name,
      attempt,
      ack: () => {
        if (answered()) return;
        this.#given.delete(held);
        this.#move();
      },
      nack: () => {
        if (answered()) return;
        this.#putBack(held);
        this.#move();
      },
    };
  }
}
