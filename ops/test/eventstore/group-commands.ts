/** Commands of a client on a persistent subscription. */
import { END, persistentSubscriptionToStreamSettingsFromDefaults, START } from "@eventstore/db-client";
import fc from "fast-check";
import { expect } from "vitest";
import { agrees, GROUP, GroupConsumer } from "./group-consumer.ts";
import { type Answer, GroupModel } from "./group-model.ts";
import { type Command, outcome, type Place, type Real, STREAMS } from "./model-command.ts";
import type { StreamModel } from "./stream-model.ts";

/** Longer than any run, so that only what is answered comes again. */
const MESSAGE_TIMEOUT_MS = 3_600_000;

abstract class GroupCommand implements Command {
  check({ group }: Readonly<StreamModel>): boolean {
    return group !== undefined;
  }

  async run(model: StreamModel, real: Real): Promise<void> {
    if (model.group !== undefined) await this.perform(model.group, real, model);
    await agrees(model, real);
  }

  protected abstract perform(group: GroupModel, real: Real, model: StreamModel): Promise<void>;

  abstract toString(): string;
}

interface GroupChoice {
  readonly stream: string;
  readonly from: Place;
  readonly maxRetryCount: number;
  readonly consumerStrategyName: "RoundRobin" | "DispatchToSingle";
  readonly checkPointLowerBound: number;
}

class CreateGroup implements Command {
  readonly #choice: GroupChoice;

  constructor(choice: GroupChoice) {
    this.#choice = choice;
  }

  check({ group }: Readonly<StreamModel>): boolean {
    return group === undefined;
  }

  async run(model: StreamModel, real: Real): Promise<void> {
    const { stream, from, ...rest } = this.#choice;
    const settings = persistentSubscriptionToStreamSettingsFromDefaults({
      ...rest,
      startFrom: typeof from === "number" ? BigInt(from) : from === "start" ? START : END,
      messageTimeout: MESSAGE_TIMEOUT_MS,
    });
    await real.client.createPersistentSubscriptionToStream(stream, GROUP, settings);
    const begin = typeof from === "number" ? from : from === "start" ? 0 : model.log.head(stream) + 1;
    model.group = new GroupModel(model, stream, begin, rest.maxRetryCount);
    await agrees(model, real);
  }

  toString(): string {
    return `group ${JSON.stringify(this.#choice)}`;
  }
}

class DeleteGroup extends GroupCommand {
  protected async perform(group: GroupModel, { client, consumers }: Real, model: StreamModel): Promise<void> {
    await client.deletePersistentSubscriptionToStream(group.stream, GROUP);
    for (const consumer of consumers) await expect.poll(() => consumer.fault).toBe("persistent-subscription-dropped");
    consumers.length = 0;
    model.group = undefined;
    const asking = client.getPersistentSubscriptionToStreamInfo(group.stream, GROUP);
    expect(await outcome(asking)).toBe("persistent-subscription-does-not-exist");
  }

  toString(): string {
    return "delete the group";
  }
}

class Join extends GroupCommand {
  readonly #slots: number;

  constructor(slots: number) {
    super();
    this.#slots = slots;
  }

  protected async perform(group: GroupModel, { client, consumers }: Real): Promise<void> {
    if (consumers.length >= 3) return;
    const consumer = new GroupConsumer(client, group, this.#slots);
    group.consumers.add(consumer.model);
    consumers.push(consumer);
  }

  toString(): string {
    return `a consumer that takes ${this.#slots} joins`;
  }
}

class Leave extends GroupCommand {
  readonly #which: number;

  constructor(which: number) {
    super();
    this.#which = which;
  }

  protected async perform(group: GroupModel, { consumers }: Real): Promise<void> {
    const [consumer] = consumers.splice(this.#which % Math.max(1, consumers.length), 1);
    if (consumer === undefined) return;
    // Others may be given what it had before it knows that it is gone.
    group.leave(consumer.model);
    await consumer.leave();
  }

  toString(): string {
    return `consumer ${this.#which} leaves`;
  }
}

class AnswerFor extends GroupCommand {
  readonly #which: number;
  readonly #count: number;
  readonly #answer: Answer;

  constructor(which: number, count: number, answer: Answer) {
    super();
    this.#which = which;
    this.#count = count;
    this.#answer = answer;
  }

  protected async perform(group: GroupModel, { consumers }: Real): Promise<void> {
    const consumer = consumers[this.#which % Math.max(1, consumers.length)];
    if (consumer === undefined) return;
    group.answer(consumer.model, this.#count, this.#answer);
    await consumer.answer(this.#count, this.#answer);
  }

  toString(): string {
    return `consumer ${this.#which}: ${this.#answer} ${this.#count}`;
  }
}

class ReplayParked extends GroupCommand {
  protected async perform(group: GroupModel, { client }: Real): Promise<void> {
    group.replay();
    await client.replayParkedMessagesToStream(group.stream, GROUP);
  }

  toString(): string {
    return "replay what is parked";
  }
}

const answer = fc.constantFrom<Answer>("ack", "ack", "retry", "retry", "park", "skip");
const slots = fc.integer({ min: 1, max: 4 });

/** Of two streams, of which the second may be closed for ever. */
export const GROUP_STREAMS: readonly string[] = STREAMS.slice(0, 2);

const creation = (names: readonly string[]): fc.Arbitrary<Command> =>
  fc
    .record<GroupChoice>({
      stream: fc.constantFrom(...names),
      from: fc.constantFrom<Place>("start", "start", "end", 2),
      maxRetryCount: fc.integer({ min: 0, max: 2 }),
      consumerStrategyName: fc.constantFrom("RoundRobin", "DispatchToSingle"),
      checkPointLowerBound: fc.constantFrom(1, 10),
    })
    .map((choice) => new CreateGroup(choice));

const often = (make: fc.Arbitrary<Command>, times: number): fc.Arbitrary<Command>[] => Array(times).fill(make);

/** What a run begins with, so that it does not wait for chance. */
export const GROUP_BEGINS: fc.Arbitrary<Command[]> = fc
  .tuple(creation(GROUP_STREAMS.slice(0, 1)), slots, slots)
  .map(([create, first, second]) => [create, new Join(first), new Join(second)]);

/** Commands for `fc.commands`, the frequent ones several times. */
export const GROUP_COMMANDS: fc.Arbitrary<Command>[] = [
  ...often(creation(GROUP_STREAMS), 4),
  ...often(
    slots.map((count) => new Join(count)),
    4,
  ),
  fc.nat(2).map((which) => new Leave(which)),
  ...often(
    fc
      .tuple(fc.nat(2), fc.integer({ min: 1, max: 3 }), answer)
      .map(([which, count, how]) => new AnswerFor(which, count, how)),
    24,
  ),
  ...often(fc.constant(new ReplayParked()), 4),
  fc.constant(new DeleteGroup()),
];
