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
  readonly accept: () => void;
  readonly refuse: (error: Error) => void;
}

export class SubjectQueue {
  readonly #capacity: number;
  /** By sequence. */
  #pending: QueuedMessage[] = [];
  readonly #unanswered = new Map<number, QueuedMessage>();
  readonly #publishers: WaitingPublisher[] = [];
  #receiver: Receiver | undefined;
  #credit = 0;
  #sequence = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Resolves once there is room for the message. */
  publish(message: TransportMessage): Promise<void> {
    return new Promise((accept, refuse) => {
      this.#publishers.push({ message, accept, refuse });
      this.#admit();
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
    if (!taken) this.#putBack(message);
    this.#admit();
  }

  close(error: Error): void {
    this.#receiver = undefined;
    this.#pending = [];
    this.#unanswered.clear();
    for (const { refuse } of this.#publishers.splice(0)) refuse(error);
  }

  #admit(): void {
    while (this.#pending.length + this.#unanswered.size < this.#capacity) {
      const next = this.#publishers.shift();
      if (next === undefined) break;
      const { headers, body } = next.message;
      this.#pending.push({ headers: { ...headers }, body: new Uint8Array(body), sequence: this.#sequence, attempt: 0 });
      this.#sequence += 1;
      next.accept();
    }
    this.#pump();
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
