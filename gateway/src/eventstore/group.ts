/**
 * A persistent subscription: its subscribers share the events of a stream, or of all. Each event goes to one of them and comes
 * back acknowledged, to be tried again, or to be parked; at least once, in no promised order. An event that nobody answers for
 * within the time-out is tried again. The group reads no further ahead than its subscribers take.
 */
import { messageOf, type Timer } from "@millrace/engine";
import { ConsumerStrategy } from "./consumer-strategy.ts";
import type { EndpointContext } from "./endpoint-context.ts";
import { eventStoreError } from "./errors.ts";
import { GroupCheckpoint } from "./group-checkpoint.ts";
import { type GroupDefinition, groupKey } from "./group-settings.ts";
import { type GroupEvent, GroupSource, groupEvent, linked } from "./group-source.ts";
import { type Delivery, GroupSubscriber } from "./group-subscriber.ts";
import { statusOf } from "./grpc-status.ts";
import { InFlightEvents } from "./in-flight.ts";
import { withKept } from "./kept-event.ts";
import { type ParkedEvent, ParkedEvents } from "./parked-events.ts";
import type { Author } from "./stored-event.ts";

export type NackAction = "park" | "retry" | "skip" | "stop";

export class Group {
  readonly definition: GroupDefinition;
  readonly subscribers: GroupSubscriber[] = [];
  readonly parked: ParkedEvents;
  readonly #context: EndpointContext;
  readonly #checkpoint: GroupCheckpoint;
  readonly #source: GroupSource;
  readonly #strategy: ConsumerStrategy;
  readonly #author: Author;
  readonly #read: GroupEvent[] = [];
  readonly #retries: Delivery[] = [];
  readonly #replays: ParkedEvent[] = [];
  /** Places of the source that were read and are not settled. */
  readonly #open = new Set<number>();
  /** Links that a replay has taken up and that are not settled. */
  readonly #openParked = new Set<number>();
  readonly #inFlight = new InFlightEvents();
  #settled = 0;
  #replayedUpTo = -1;
  #timeout: Timer | undefined;
  #checkpointTimer: Timer | undefined;
  #isRunning = false;
  #isDropped = false;
  #wake: () => void = () => {};
  #isWoken = false;

  private constructor(
    context: EndpointContext,
    definition: GroupDefinition,
    checkpoint: GroupCheckpoint,
    author: Author,
  ) {
    this.definition = definition;
    this.#context = context;
    this.#checkpoint = checkpoint;
    this.#author = author;
    this.#source = new GroupSource(context, definition, checkpoint.written);
    this.#strategy = new ConsumerStrategy(definition.settings.strategy);
    this.parked = new ParkedEvents(context, definition);
  }

  static async open(context: EndpointContext, definition: GroupDefinition): Promise<Group> {
    const author = { principal: "system", codeVersion: context.version };
    return new Group(context, definition, await GroupCheckpoint.open(context, definition, author), author);
  }

  get inFlightCount(): number {
    return this.#inFlight.count;
  }

  get retryCount(): number {
    return this.#retries.length + this.#replays.length;
  }

  get readCount(): number {
    return this.#read.length;
  }

  /** The first place that is not known to be settled for good. */
  get checkpoint(): number {
    return this.#checkpoint.written;
  }

  /** The first place that was not read. */
  get next(): number {
    return this.#source.next;
  }

  /** @throws EVENTSTORE-GROUP-FULL; EVENTSTORE-GROUP-DROPPED it was closed since it was asked for */
  async join(
    call: GroupSubscriber["call"],
    author: Author,
    slots: number,
    structuredIds: boolean,
  ): Promise<GroupSubscriber> {
    if (this.#isDropped) throw this.#dropped("it is closed");
    const { settings, stream, group } = this.definition;
    if (settings.maxSubscriberCount > 0 && this.subscribers.length >= settings.maxSubscriberCount) {
      const message = `Maximum subscriptions reached for ${groupKey(this.definition)}`;
      throw eventStoreError("EVENTSTORE-GROUP-FULL", message, { details: { stream, group } });
    }
    const subscriber = new GroupSubscriber(call, author, slots, structuredIds, () => this.#poke());
    this.subscribers.push(subscriber);
    await subscriber.confirm(groupKey(this.definition));
    void this.#run();
    this.#poke();
    return subscriber;
  }

  /** What it had goes to the others. */
  leave(subscriber: GroupSubscriber): void {
    const at = this.subscribers.indexOf(subscriber);
    if (at < 0) return;
    this.subscribers.splice(at, 1);
    this.#retries.unshift(...this.#inFlight.takeOf(subscriber).map(({ delivery }) => delivery));
    if (this.subscribers.length === 0) void this.#writeCheckpoint();
    this.#poke();
  }

  ack(id: string, by: GroupSubscriber): void {
    const one = this.#inFlight.take(id, by);
    if (one === undefined) return;
    this.#settle(one.delivery);
    this.#poke();
  }

  async nack(id: string, by: GroupSubscriber, action: NackAction, reason: string): Promise<void> {
    const { author } = by;
    const one = this.#inFlight.take(id, by);
    if (one === undefined) return;
    if (action === "skip") this.#settle(one.delivery);
    else if (action === "retry") await this.#retry(one.delivery, reason, author);
    else await this.#park(one.delivery, reason, author);
    if (action === "stop") this.#drop(one.subscriber, "its subscriber asked to stop");
    this.#poke();
  }

  /** Takes up what is parked now, at most `limit`. */
  async replay(limit: number): Promise<void> {
    const parked = (await this.parked.list(limit)).filter(
      ({ revision }) => revision > this.#replayedUpTo && !this.#openParked.has(revision),
    );
    for (const one of parked) this.#openParked.add(one.revision);
    this.#replayedUpTo = Math.max(this.#replayedUpTo, ...parked.slice(-1).map(({ revision }) => revision));
    this.#replays.push(...parked);
    this.#poke();
  }

  /** Ends all subscribers and writes the checkpoint. */
  async close(reason: string): Promise<void> {
    this.#isDropped = true;
    for (const subscriber of [...this.subscribers]) this.#drop(subscriber, reason);
    this.#timeout?.cancel();
    this.#checkpointTimer?.cancel();
    this.#poke();
    await this.#writeCheckpoint();
  }

  #drop(subscriber: GroupSubscriber, reason: string): void {
    subscriber.call.finish(statusOf(this.#dropped(reason)));
    this.leave(subscriber);
  }

  #dropped(reason: string): Error {
    const { stream, group } = this.definition;
    const details = { stream, group };
    return eventStoreError("EVENTSTORE-GROUP-DROPPED", `${groupKey(this.definition)}: ${reason}`, { details });
  }

  get #isWanted(): boolean {
    return this.subscribers.length > 0 && !this.#isDropped;
  }

  /** Hands out events for as long as somebody takes them. */
  async #run(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      while (this.#isWanted) await this.#handOut();
    } catch (thrown) {
      for (const subscriber of [...this.subscribers]) this.#drop(subscriber, messageOf(thrown));
    } finally {
      this.#isRunning = false;
    }
  }

  async #handOut(): Promise<void> {
    if (!this.subscribers.some(({ hasRoom }) => hasRoom)) return this.#woken();
    const delivery = (await this.#waiting()) ?? (await this.#fromSource());
    if (delivery === undefined) return;
    const subscriber = this.#strategy.choose(delivery.event, this.subscribers);
    if (subscriber === undefined) {
      this.#retries.unshift(delivery);
      return this.#woken();
    }
    this.#deliver(delivery, subscriber);
  }

  #deliver(delivery: Delivery, subscriber: GroupSubscriber): void {
    const { clock } = this.#context.env;
    const deadlineMs = clock.monotonic() + this.definition.settings.messageTimeoutMs;
    this.#inFlight.add({ delivery, subscriber, deadlineMs });
    subscriber.send(delivery);
    this.#armTimeout();
  }

  async #waiting(): Promise<Delivery | undefined> {
    const retry = this.#retries.shift();
    if (retry !== undefined) return retry;
    for (let [parked] = this.#replays; parked !== undefined; [parked] = this.#replays) {
      // Taken out once it is a delivery: a log that cannot be read now must not lose it.
      const delivery = await this.#replayed(parked);
      this.#replays.shift();
      if (delivery !== undefined) return delivery;
      this.#settleParked(parked.revision);
    }
    const [event] = this.#read;
    if (event === undefined) return undefined;
    const delivery = await this.#delivery(event, undefined);
    this.#read.shift();
    return delivery;
  }

  async #replayed({ revision, target }: ParkedEvent): Promise<Delivery | undefined> {
    const { stream, settings } = this.definition;
    const event = await withKept(this.#context.log, target, (kept) => {
      const place = stream === kept.stream ? kept.revision : kept.position;
      return groupEvent(kept, place, settings.resolveLinks, this.#context);
    });
    return event && this.#delivery(event, revision);
  }

  async #delivery(event: GroupEvent, parked: number | undefined): Promise<Delivery> {
    const target = event.target === undefined ? undefined : await linked(event.target, this.#context);
    return { event, target, retryCount: 0, parked };
  }

  /** Reads on; waits when there is nothing. */
  async #fromSource(): Promise<undefined> {
    if (await this.#readMore()) return;
    const waiting = new AbortController();
    const changed = this.#source.changed(waiting.signal);
    try {
      if (!(await this.#readMore())) await Promise.race([changed, this.#woken()]);
    } finally {
      waiting.abort();
    }
  }

  async #readMore(): Promise<boolean> {
    const events = await this.#source.read(() => this.#isWanted);
    for (const { place } of events) this.#open.add(place);
    this.#read.push(...events);
    return events.length > 0;
  }

  async #retry(delivery: Delivery, reason: string, author: Author): Promise<void> {
    delivery.retryCount += 1;
    if (delivery.retryCount > this.definition.settings.maxRetryCount) await this.#park(delivery, reason, author);
    else this.#retries.push(delivery);
  }

  /** Settled once the link is durable; until then a restart delivers the event again. */
  async #park(delivery: Delivery, reason: string, author: Author): Promise<void> {
    const { stream, revision } = delivery.event;
    try {
      await this.parked.park({ stream, revision }, reason, author);
      this.#settle(delivery);
    } catch {
      // The log takes nothing now: the event stays with the group, and the next attempt parks it again.
      this.#retries.push(delivery);
    }
  }

  #settle({ event, parked }: Delivery): void {
    if (parked !== undefined) {
      this.#settleParked(parked);
      return;
    }
    this.#open.delete(event.place);
    this.#settled += 1;
    const { maxCheckpointCount, checkpointAfterMs } = this.definition.settings;
    if (this.#settled >= maxCheckpointCount) void this.#writeCheckpoint();
    else this.#checkpointTimer ??= this.#context.env.timers.after(checkpointAfterMs, () => this.#onCheckpointTime());
  }

  #onCheckpointTime(): void {
    this.#checkpointTimer = undefined;
    if (this.#settled >= this.definition.settings.minCheckpointCount) void this.#writeCheckpoint();
  }

  #settleParked(revision: number): void {
    this.#openParked.delete(revision);
    if (this.#openParked.size > 0) return;
    // A failure leaves the links where they are: they are replayed once more when somebody asks.
    void this.parked.truncate(this.#replayedUpTo + 1, this.#author).catch(() => {});
  }

  /** A failure costs repetition after a restart, nothing else. */
  async #writeCheckpoint(): Promise<void> {
    this.#settled = 0;
    let next = this.#source.next;
    for (const place of this.#open) next = Math.min(next, place);
    await this.#checkpoint.write(next).catch(() => {});
  }

  #armTimeout(): void {
    if (this.#timeout !== undefined) return;
    const deadlineMs = this.#inFlight.nextDeadlineMs;
    if (deadlineMs === undefined) return;
    const { timers, clock } = this.#context.env;
    const delayMs = Math.max(1, deadlineMs - clock.monotonic());
    this.#timeout = timers.after(delayMs, () => void this.#onTimeout());
  }

  async #onTimeout(): Promise<void> {
    this.#timeout = undefined;
    const nowMs = this.#context.env.clock.monotonic();
    for (const { delivery } of this.#inFlight.takeLate(nowMs))
      await this.#retry(delivery, "nobody answered in time", this.#author);
    this.#armTimeout();
    this.#poke();
  }

  #poke(): void {
    this.#isWoken = true;
    this.#wake();
  }

  /** Resolves when something has changed since it was last asked. */
  async #woken(): Promise<undefined> {
    if (!this.#isWoken) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#isWoken = false;
    return undefined;
  }
}
