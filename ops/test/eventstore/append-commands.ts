/** Appends, rivals and retries. */
import { expect } from "vitest";
import {
  ALONE,
  asked,
  type Command,
  type Expectation,
  expectedOf,
  outcome,
  proposed,
  type Real,
  StreamCommand,
} from "./model-command.ts";
import type { StreamModel } from "./stream-model.ts";

export class Append extends StreamCommand {
  readonly #wanted: Expectation;
  readonly #count: number;
  readonly #isAlone: boolean;

  constructor(stream: string, wanted: Expectation, count: number, isAlone: boolean) {
    super(stream);
    this.#wanted = wanted;
    this.#count = count;
    this.#isAlone = isAlone;
  }

  protected async perform(model: StreamModel, { client }: Real): Promise<void> {
    const expected = expectedOf(model, this.stream, this.#wanted);
    const events = model.counted(this.#count);
    const options = { expectedRevision: asked(expected), ...(this.#isAlone ? ALONE : {}) };
    let revision: bigint | undefined;
    const appending = client.appendToStream(this.stream, proposed(events), options).then((result) => {
      revision = result.nextExpectedRevision;
    });
    const answer = await outcome(appending);
    expect(answer).toBe(model.append(this.stream, expected, events));
    if (answer === "done" && events.length > 0) expect(Number(revision)).toBe(model.log.head(this.stream));
  }

  toString(): string {
    return `append ${this.#count} to ${this.stream} (${this.#wanted})${this.#isAlone ? " alone" : ""}`;
  }
}

/** Several who decided on the same revision: one passes. */
export class Race extends StreamCommand {
  protected async perform(model: StreamModel, { client }: Real): Promise<void> {
    const expected = expectedOf(model, this.stream, "head");
    const rivals = [0, 1, 2].map((i) => ({ events: model.counted(1), options: i === 1 ? ALONE : {} }));
    const answers = await Promise.all(
      rivals.map(({ events, options }) => {
        const expectedRevision = asked(expected);
        return outcome(client.appendToStream(this.stream, proposed(events), { expectedRevision, ...options }));
      }),
    );
    const winner = Math.max(0, answers.indexOf("done"));
    const wanted = rivals[winner] && model.append(this.stream, expected, rivals[winner].events);
    expect(answers[winner]).toBe(wanted);
    const lost = wanted === "done" ? "wrong-expected-version" : wanted;
    expect(answers.filter((_, i) => i !== winner)).toEqual([lost, lost]);
  }

  toString(): string {
    return `race in ${this.stream}`;
  }
}

/** An append that was done is asked for once more: it answers as it did, whatever came since but a tombstone. */
export class Retry implements Command {
  readonly #which: number;
  readonly #isAlone: boolean;

  constructor(which: number, isAlone: boolean) {
    this.#which = which;
    this.#isAlone = isAlone;
  }

  check({ accepted }: Readonly<StreamModel>): boolean {
    return accepted.length > 0;
  }

  async run(model: StreamModel, { client }: Real): Promise<void> {
    const earlier = model.accepted[this.#which % model.accepted.length];
    if (earlier === undefined) return;
    const { stream, expected, events, revision } = earlier;
    const options = { expectedRevision: asked(expected), ...(this.#isAlone ? ALONE : {}) };
    const retrying = client.appendToStream(stream, proposed(events), options);
    if (model.isTombstoned(stream) || (model.isDeleted(stream) && expected === "exists"))
      expect(await outcome(retrying)).toBe("stream-deleted");
    else expect((await retrying).nextExpectedRevision).toBe(BigInt(revision));
  }

  toString(): string {
    return `retry ${this.#which}`;
  }
}
