/**
 * A persistent subscription as it is promised: each event of its stream goes to one consumer at a time, comes back acknowledged, to be
 * tried again, to be skipped or to be parked, and is lost by none of that. What is hidden in the stream before it was delivered may come or not.
 */
/** What the model knows of streams. */
interface Streams {
  readonly log: { head(stream: string): number };
  readonly groupCounts: GroupCounts;
  /** Revisions that a reader sees. */
  visible(stream: string): readonly number[];
  /** "done", or why nobody can read it. */
  readability(stream: string): string;
}

/** What happened, over all runs. */
export interface GroupCounts {
  delivered: number;
  retried: number;
  /** Also because it was tried as often as it may be. */
  parked: number;
  replayed: number;
  /** After everything was closed: settled before, above something that was not. */
  repeated: number;
}

export type Answer = "ack" | "retry" | "park" | "skip";

/** One event in the hands of the group or of a consumer. */
interface Item {
  readonly revision: number;
  readonly retries: number;
  /** Of an event that is replayed: the link that parks it. */
  readonly link?: number;
}

export interface Delivered {
  readonly revision: number;
  readonly retryCount: number;
}

/** What one consumer has not answered for, oldest first. */
export class ConsumerModel {
  readonly slots: number;
  readonly held: Item[] = [];

  constructor(slots: number) {
    this.slots = slots;
  }
}

export class GroupModel {
  readonly stream: string;
  readonly consumers = new Set<ConsumerModel>();
  readonly #model: Streams;
  readonly #begin: number;
  readonly #retriesMax: number;
  /** Due again: tried again, left behind, replayed. */
  #due: Item[] = [];
  /** Revisions that came from the stream, and those of them that are settled. */
  #seen = new Set<number>();
  #done = new Set<number>();
  readonly #hidden = new Set<number>();
  /** Events by the number of the link that parks them. */
  readonly #links: number[] = [];
  #firstLink = 0;
  #replayedTo = -1;
  #openLinks = new Set<number>();

  constructor(model: Streams, stream: string, begin: number, retriesMax: number) {
    this.#model = model;
    this.stream = stream;
    this.#begin = begin;
    this.#retriesMax = retriesMax;
  }

  get heldCount(): number {
    return [...this.consumers].reduce((sum, { held }) => sum + held.length, 0);
  }

  get parkedCount(): number {
    return this.#links.length - this.#firstLink;
  }

  /** Looks at the stream after each change of it. */
  note(): void {
    const head = this.#model.log.head(this.stream);
    const visible = new Set(this.#model.readability(this.stream) === "done" ? this.#model.visible(this.stream) : []);
    for (let revision = 0; revision <= head; revision++) if (!visible.has(revision)) this.#hidden.add(revision);
  }

  /** True if nothing must come any more, or nobody can take it. */
  get isServed(): boolean {
    const room = [...this.consumers].some(({ slots, held }) => held.length < slots);
    return !room || (this.#due.length === 0 && this.#fresh().every((revision) => this.#hidden.has(revision)));
  }

  /** Why the consumer must not have got this; nothing when it may. */
  deliver(consumer: ConsumerModel, { revision, retryCount }: Delivered): string | undefined {
    const what = `revision ${revision}, tried ${retryCount} times before`;
    if (consumer.held.length >= consumer.slots) return `${what}: more than the ${consumer.slots} that it takes`;
    if (retryCount > this.#retriesMax) return `${what}: more than ${this.#retriesMax} times`;
    const at = this.#due.findIndex((item) => item.revision === revision && item.retries === retryCount);
    const [due] = at < 0 ? [] : this.#due.splice(at, 1);
    if (due === undefined && (retryCount > 0 || !this.#fresh().includes(revision))) return `${what}: not due`;
    if (due === undefined) this.#seen.add(revision);
    const counts = this.#model.groupCounts;
    counts.delivered++;
    if (retryCount > 0) counts.retried++;
    if (due?.link !== undefined) counts.replayed++;
    consumer.held.push(due ?? { revision, retries: 0 });
    return undefined;
  }

  answer(consumer: ConsumerModel, count: number, answer: Answer): void {
    for (const item of consumer.held.splice(0, count)) {
      const retries = item.retries + 1;
      if (answer === "retry" && retries <= this.#retriesMax) this.#due.push({ ...item, retries });
      else this.#settle(item, answer === "park" || answer === "retry");
    }
  }

  leave(consumer: ConsumerModel): void {
    this.consumers.delete(consumer);
    this.#due.unshift(...consumer.held.splice(0));
  }

  replay(): void {
    const from = Math.max(this.#firstLink, this.#replayedTo + 1);
    for (const [i, revision] of this.#links.slice(from).entries()) {
      this.#openLinks.add(from + i);
      this.#due.push({ revision, retries: 0, link: from + i });
    }
    this.#replayedTo = Math.max(this.#replayedTo, this.#links.length - 1);
  }

  /** A checkpoint is a place: whatever is at or after the first event that is not settled comes again. */
  reopen(): void {
    for (const consumer of [...this.consumers]) this.leave(consumer);
    const open = [...this.#seen].filter((revision) => !this.#done.has(revision));
    const from = Math.min(Number.POSITIVE_INFINITY, ...open);
    this.#model.groupCounts.repeated += [...this.#done].filter((one) => one >= from).length;
    for (const set of [this.#seen, this.#done]) for (const one of [...set]) if (one >= from) set.delete(one);
    this.#due = [];
    this.#openLinks = new Set();
    this.#replayedTo = -1;
  }

  #settle({ revision, link }: Item, isParked: boolean): void {
    if (isParked) {
      this.#links.push(revision);
      this.#model.groupCounts.parked++;
    }
    if (link === undefined) {
      this.#done.add(revision);
      return;
    }
    this.#openLinks.delete(link);
    if (this.#openLinks.size === 0) this.#firstLink = this.#replayedTo + 1;
  }

  /** What did not come from the stream yet, seen or hidden. */
  #fresh(): readonly number[] {
    const head = this.#model.log.head(this.stream);
    return Array.from({ length: Math.max(0, head + 1 - this.#begin) }, (_, i) => this.#begin + i).filter(
      (revision) => !this.#seen.has(revision),
    );
  }
}
