/** Reads of streams, of all, and of lists. */
import { BACKWARDS, FORWARDS } from "@eventstore/db-client";
import { sliceFrom } from "@millrace/engine/testing";
import { expect } from "vitest";
import { type Command, outcome, type Reading, type Real, StreamCommand, taken } from "./model-command.ts";
import type { StreamModel } from "./stream-model.ts";

export class Read extends StreamCommand {
  readonly #reading: Reading;

  constructor(stream: string, reading: Reading) {
    super(stream);
    this.#reading = reading;
  }

  protected async perform(model: StreamModel, { client }: Real): Promise<void> {
    const { from, isBackward, count } = this.#reading;
    const direction = isBackward ? BACKWARDS : FORWARDS;
    const options = { direction, fromRevision: typeof from === "number" ? BigInt(from) : from, maxCount: count };
    const seen: string[] = [];
    const answer = await outcome(taken(client.readStream(this.stream, options as never), seen));
    expect(answer).toBe(model.readability(this.stream));
    if (answer !== "done") return;
    const head = model.log.head(this.stream);
    const at = from === "end" ? (isBackward ? head : head + 1) : from === "start" ? 0 : from;
    const wanted = model.visible(this.stream).filter((revision) => (isBackward ? revision <= at : revision >= at));
    const ordered = isBackward ? wanted.reverse() : wanted;
    expect(seen).toEqual(ordered.slice(0, count).map((revision) => model.line(this.stream, revision)));
  }

  toString(): string {
    return `read ${this.stream} ${JSON.stringify(this.#reading)}`;
  }
}

export class ReadAll implements Command {
  readonly #reading: Reading;

  constructor(reading: Reading) {
    this.#reading = reading;
  }

  check(): boolean {
    return true;
  }

  async run(model: StreamModel, { client }: Real): Promise<void> {
    const { from, isBackward, count } = this.#reading;
    const position = typeof from === "number" ? { commit: BigInt(from), prepare: BigInt(from) } : from;
    const options = { direction: isBackward ? BACKWARDS : FORWARDS, fromPosition: position, maxCount: count };
    const seen: string[] = [];
    await taken(client.readAll(options as never), seen);
    const places = model.log.places();
    const at = from === "end" ? places.length : from === "start" ? 0 : from;
    // Backwards is what stands before a position.
    const wanted = sliceFrom(places, isBackward ? at - 1 : at, isBackward, count);
    expect(seen).toEqual(wanted.map((place) => model.lineAt(place)));
  }

  toString(): string {
    return `read $all ${JSON.stringify(this.#reading)}`;
  }
}

/** A list that the log's index keeps, with its links followed: what is hidden in its own stream is not there. */
export class ReadList implements Command {
  readonly #list: string;

  constructor(list: string) {
    this.#list = list;
  }

  check(): boolean {
    return true;
  }

  async run(model: StreamModel, { client }: Real): Promise<void> {
    const wanted = model.log.events.flatMap(({ stream, revision, event }, position) => {
      const isOf = this.#list.startsWith("$ce-") ? stream.startsWith("a-") : event.type === "Counted";
      if (!isOf) return [];
      const isHidden = model.readability(stream) !== "done" || !model.visible(stream).includes(revision);
      return [isHidden ? "nothing" : model.lineAt(position)];
    });
    const seen: string[] = [];
    const answer = await outcome(taken(client.readStream(this.#list, { resolveLinkTos: true }), seen));
    expect(answer).toBe(wanted.length === 0 ? "stream-not-found" : "done");
    expect(seen).toEqual(wanted);
  }

  toString(): string {
    return `read ${this.#list}`;
  }
}
