/** Subscriptions that stay, the passing of time, and everything closed and opened again. */
import { Follower } from "./follower.ts";
import { agrees } from "./group-consumer.ts";
import { type Command, connect, type Place, type Real } from "./model-command.ts";
import type { StreamModel } from "./stream-model.ts";

/** Opens a subscription that stays; it brings what is there after its place, then what comes. */
export class Subscribe implements Command {
  readonly #stream: string | undefined;
  readonly #from: Place;

  constructor(stream: string | undefined, from: Place) {
    this.#stream = stream;
    this.#from = from;
  }

  check(model: Readonly<StreamModel>): boolean {
    const isAhead = typeof this.#from === "number" && this.#from >= model.log.places(this.#stream).length;
    return !isAhead;
  }

  async run(model: StreamModel, real: Real): Promise<void> {
    const stream = this.#stream;
    const follower = new Follower(stream === undefined ? this.#toAll(real) : this.#toStream(real, stream));
    if (stream !== undefined && model.isTombstoned(stream)) return follower.endsWith("stream-deleted");
    real.followers.push({ stream, follower });
    const from = this.#from;
    const isAfter = (place: number) => (typeof from === "number" ? place > from : from === "start");
    const places = stream === undefined ? model.log.places() : model.isDeleted(stream) ? [] : model.visible(stream);
    const lines = places
      .filter(isAfter)
      .map((place) => (stream === undefined ? model.lineAt(place) : model.line(stream, place)));
    await follower.want(lines.map((line) => ({ line, must: true })));
    await follower.live();
  }

  #toAll({ client }: Real) {
    const from = this.#from;
    return client.subscribeToAll({
      fromPosition: typeof from === "number" ? { commit: BigInt(from), prepare: BigInt(from) } : from,
    });
  }

  #toStream({ client }: Real, stream: string) {
    const from = this.#from;
    return client.subscribeToStream(stream, { fromRevision: typeof from === "number" ? BigInt(from) : from });
  }

  toString(): string {
    return `subscribe to ${this.#stream ?? "$all"} from ${this.#from}`;
  }
}

export class PassTime implements Command {
  readonly #seconds: number;

  constructor(seconds: number) {
    this.#seconds = seconds;
  }

  check(): boolean {
    return true;
  }

  async run(model: StreamModel, real: Real): Promise<void> {
    model.timeS += this.#seconds;
    real.passTime(this.#seconds);
  }

  toString(): string {
    return `${this.#seconds} s pass`;
  }
}

export class Reopen implements Command {
  check(): boolean {
    return true;
  }

  async run(model: StreamModel, real: Real): Promise<void> {
    for (const { follower } of real.followers.splice(0)) await follower.close();
    for (const consumer of real.consumers.splice(0)) consumer.forget();
    await real.client.dispose();
    real.served = await real.served.reopened();
    real.client = connect(real.served);
    model.group?.reopen();
    await agrees(model, real);
  }

  toString(): string {
    return "reopen";
  }
}
