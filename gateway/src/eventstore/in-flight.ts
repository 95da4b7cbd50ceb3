/** Events that subscribers of a group have and have not answered for. */
import type { Delivery, GroupSubscriber } from "./group-subscriber.ts";

export interface InFlight {
  readonly delivery: Delivery;
  readonly subscriber: GroupSubscriber;
  /** On the monotonic clock. All wait equally long, so the first to be delivered is the first to be late. */
  readonly deadlineMs: number;
}

export class InFlightEvents {
  /** By id, in the order of their deadlines; ids may be there twice. */
  readonly #byId = new Map<string, InFlight[]>();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** When the next is late; `undefined` when there is none. */
  get nextDeadlineMs(): number | undefined {
    const [first] = this.#byId.values();
    return first?.[0]?.deadlineMs;
  }

  add(one: InFlight): void {
    const id = idOf(one.delivery);
    this.#byId.set(id, [...(this.#byId.get(id) ?? []), one]);
    this.#count += 1;
    one.subscriber.inFlight += 1;
  }

  /**
   * Takes out what a subscriber answers for, its own before that of another who was given the same since; nothing when it is late, or
   * was answered for.
   */
  take(id: string, by: GroupSubscriber): InFlight | undefined {
    const all = this.#byId.get(id);
    const one = all?.find(({ subscriber }) => subscriber === by) ?? all?.[0];
    if (one !== undefined) this.#remove(one);
    return one;
  }

  takeOf(subscriber: GroupSubscriber): readonly InFlight[] {
    return this.#takeAll((one) => one.subscriber === subscriber);
  }

  takeLate(nowMs: number): readonly InFlight[] {
    return this.#takeAll(({ deadlineMs }) => deadlineMs <= nowMs);
  }

  #takeAll(isWanted: (one: InFlight) => boolean): readonly InFlight[] {
    const wanted = [...this.#byId.values()].flat().filter(isWanted);
    for (const one of wanted) this.#remove(one);
    return wanted;
  }

  #remove(one: InFlight): void {
    const id = idOf(one.delivery);
    const others = this.#byId.get(id)?.filter((other) => other !== one) ?? [];
    if (others.length > 0) this.#byId.set(id, others);
    else this.#byId.delete(id);
    this.#count -= 1;
    one.subscriber.inFlight -= 1;
  }
}

/** What subscribers answer with: of a link that is resolved its own. */
function idOf({ event }: Delivery): string {
  return Buffer.from(event.record.id).toString("hex");
}
