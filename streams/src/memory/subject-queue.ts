/**
 * Messages of one subject on their way to its receiver: bounded, in order, and kept until they are answered. What is refused
 * or left unanswered goes back to its place.
 */
import type { TransportMessage } from "@millrace/engine";

export interface QueuedMessage extends TransportMessage {
  /** Dense per subject; orders what is delivered again. */
  readonly sequence: number;
  /** Deliveries so far, this one included. */
  attempt: number;
}

/** Where messages go. It must not answer during the call. */
export type Receiver = (message: QueuedMessage) => void;

interface WaitingPublisher {
  readonly message: TransportMessage;
  accept: () => void;
  readonly refuse: (error: Error) => void;
}

export class SubjectQueue {
  readonly #capacity: number;
  readonly #bytesMax: number;
  /** Of all bodies that are pending or unanswered. */
  #bytes = 0;
  /** By sequence. */
  #pending: QueuedMessage[] = [];
  readonly #unanswered = new Map<number, QueuedMessage>();
  readonly #publishers: WaitingPublisher[] = [];
  #receiver: Receiver | undefined;
  #credit = 0;
  #sequence = 0;

  /** @param bytesMax of all bodies together; a larger one still has room in an empty queue. Default: no limit. */
  constructor(capacity: number, bytesMax: number = Number.POSITIVE_INFINITY) {
    this.#capacity = capacity;
    this.#bytesMax = bytesMax;
  }

  /** Resolves once there is room for the message. Whoever aborts before takes it back: it is not in the queue. */
  publish(message: TransportMessage, signal?: AbortSignal): Promise<void> {
    return new Promise((accept, refuse) => {
      signal?.throwIfAborted();
      const publisher = { message, accept, refuse };
      this.#publishers.push(publisher);
      this.#admit();
      if (signal !== undefined && this.#publishers.includes(publisher)) this.#withdrawOn(signal, publisher);
    });
  }

  /** Delivers to `receiver` from here on; what another one left unanswered comes first. */
  attach(receiver: Receiver, credit: number): void {
    this.detach(this.#receiver);
    this.#receiver = receiver;
    this.#credit = credit;
    this.#pump();
  }

  grant(receiver: Receiver, credit: number): void {
    if (receiver !== this.#receiver) return;
    this.#credit += credit;
    this.#pump();
  }

  /** Ends deliveries to `receiver`, unless another one has taken its place. */
  detach(receiver: Receiver | undefined): void {
    if (receiver === undefined || receiver !== this.#receiver) return;
    this.#receiver = undefined;
    for (const message of this.#unanswered.values()) this.#putBack(message);
    this.#unanswered.clear();
  }

  /** An answer to an attempt that was given up already is ignored. */
  answer(sequence: number, attempt: number, taken: boolean): void {
    const message = this.#unanswered.get(sequence);
    if (message === undefined || message.attempt !== attempt) return;
    this.#unanswered.delete(sequence);
    if (taken) this.#bytes -= message.body.length;
    else this.#putBack(message);
    this.#admit();
  }

  close(error: Error): void {
    this.#receiver = undefined;
    this.#pending = [];
    this.#unanswered.clear();
    this.#bytes = 0;
    for (const { refuse } of this.#publishers.splice(0)) refuse(error);
  }

  #admit(): void {
    for (let [next] = this.#publishers; next !== undefined && this.#hasRoomFor(next); [next] = this.#publishers) {
      this.#publishers.shift();
      const { headers, body } = next.message;
      this.#bytes += body.length;
      this.#pending.push({ headers: { ...headers }, body: new Uint8Array(body), sequence: this.#sequence, attempt: 0 });
      this.#sequence += 1;
      next.accept();
    }
    this.#pump();
  }

  #hasRoomFor({ message }: WaitingPublisher): boolean {
    const held = this.#pending.length + this.#unanswered.size;
    return held === 0 || (held < this.#capacity && this.#bytes + message.body.length <= this.#bytesMax);
  }

  #withdrawOn(signal: AbortSignal, publisher: WaitingPublisher): void {
    const { accept, refuse } = publisher;
    const withdraw = (): void => {
      const at = this.#publishers.indexOf(publisher);
      if (at < 0) return;
      this.#publishers.splice(at, 1);
      refuse(signal.reason as Error);
      this.#admit();
    };
    signal.addEventListener("abort", withdraw, { once: true });
    publisher.accept = () => {
      signal.removeEventListener("abort", withdraw);
      accept();
    };
  }

  #pump(): void {
    while (this.#receiver !== undefined && this.#credit > 0) {
      const message = this.#pending.shift();
      if (message === undefined) return;
      this.#credit -= 1;
      message.attempt += 1;
      this.#unanswered.set(message.sequence, message);
      this.#receiver(message);
    }
  }

  #putBack(message: QueuedMessage): void {
    const at = this.#pending.findIndex((other) => other.sequence > message.sequence);
    this.#pending.splice(at === -1 ? this.#pending.length : at, 0, message);
  }
}
