/** Commands of a client that are given to a served log and to its model at once; both must answer alike. */
import { connect as connectHttp2 } from "node:http2";
import { type AppendExpectedRevision, BACKWARDS, EventStoreDBClient, FORWARDS, jsonEvent } from "@eventstore/db-client";
import { Empty, StreamIdentifier } from "@eventstore/db-client/generated/shared_pb.js";
import { DeleteReq, TombstoneReq } from "@eventstore/db-client/generated/streams_pb.js";
import type { ExpectedRevision } from "@millrace/engine";
import { sliceFrom } from "@millrace/engine/testing";
import fc from "fast-check";
import { expect } from "vitest";
import { Follower, lineOfResolved } from "./follower.ts";
import { ask, frame } from "./raw-call.ts";
import type { ServedLog } from "./served-log.ts";
import type { Metadata, StreamModel, Written } from "./stream-model.ts";

/** Two of one category, one that is no ASCII, one of the system's. The second is the one that is closed for ever. */
export const STREAMS = ["a-1", "a-2", "b/ü", "$c"] as const;

export type Client = InstanceType<typeof EventStoreDBClient>;

export const connect = ({ address }: ServedLog): Client =>
  EventStoreDBClient.connectionString(`esdb://${address}?tls=false`);

/** The served log of a run. */
export interface Real {
  served: ServedLog;
  client: Client;
  /** Moves the clock of the served log. */
  passTime(seconds: number): void;
  followers: { readonly stream: string | undefined; readonly follower: Follower }[];
}

type Command = fc.AsyncCommand<StreamModel, Real>;
type Expectation = "any" | "none" | "exists" | "head" | "off";

/** `head` is the revision that the model has, `off` one that it has not. */
function expectedOf(model: StreamModel, stream: string, wanted: Expectation): ExpectedRevision {
  const head = model.log.head(stream);
  if (wanted === "off") return head + 2;
  if (wanted !== "head") return wanted;
  return head < 0 ? "none" : head;
}

function asked(expected: ExpectedRevision): AppendExpectedRevision {
  if (typeof expected === "number") return BigInt(expected);
  return ({ any: "any", none: "no_stream", exists: "stream_exists" } as const)[expected];
}

const proposed = (events: readonly Written[]) =>
  events.map(({ id, n = -1 }) => jsonEvent({ id, type: "Counted", data: { n } }));

/** The type of error that an action ends with, or "done". */
async function outcome(action: Promise<unknown>): Promise<string> {
  return action.then(
    () => "done",
    (error: { readonly type?: string; readonly message: string }) => error.type ?? error.message,
  );
}

/** Without a client's credentials there is one call for all appends, with them each is a call of its own. */
const ALONE = { credentials: { username: "somebody", password: "" } };

/** What open subscriptions must bring of everything that was appended since `end`. */
async function brought(model: StreamModel, real: Real, end: number): Promise<void> {
  for (const { stream, follower } of real.followers) {
    const visible = stream === undefined ? undefined : new Set(model.visible(stream));
    const fresh = model.log.events.slice(end).flatMap((one, i) => {
      if (stream !== undefined && one.stream !== stream) return [];
      return [{ line: model.lineAt(end + i), must: visible?.has(one.revision) ?? true }];
    });
    await follower.want(fresh);
  }
}

abstract class StreamCommand implements Command {
  protected readonly stream: string;

  constructor(stream: string) {
    this.stream = stream;
  }

  check(): boolean {
    return true;
  }

  async run(model: StreamModel, real: Real): Promise<void> {
    const end = model.log.events.length;
    await this.perform(model, real);
    await brought(model, real, end);
  }

  protected abstract perform(model: StreamModel, real: Real): Promise<void>;

  abstract toString(): string;
}

class Append extends StreamCommand {
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
class Race extends StreamCommand {
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
class Retry implements Command {
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

/** A delete or a tombstone. */
class Removal extends StreamCommand {
  readonly #kind: "delete" | "tombstone";
  readonly #wanted: Expectation;

  constructor(kind: "delete" | "tombstone", stream: string, wanted: Expectation) {
    super(stream);
    this.#kind = kind;
    this.#wanted = wanted;
  }

  protected async perform(model: StreamModel, real: Real): Promise<void> {
    const expected = expectedOf(model, this.stream, this.#wanted);
    const answer = await this.#ask(real, expected);
    expect(answer).toBe(model[this.#kind](this.stream, expected));
    if (this.#kind === "tombstone" && answer === "done") await this.#ended(model, real);
  }

  #ask({ client, served }: Real, expected: ExpectedRevision): Promise<string> {
    const options = asked(expected);
    // The client has no such expectation for removals.
    if (options === "stream_exists") return removeExisting(served, this.#kind, this.stream);
    return outcome(
      this.#kind === "delete"
        ? client.deleteStream(this.stream, { expectedRevision: options })
        : client.tombstoneStream(this.stream, { expectedRevision: options }),
    );
  }

  async #ended(model: StreamModel, real: Real): Promise<void> {
    const line = model.lineAt(model.log.events.length - 1);
    for (const { follower } of real.followers.filter(({ stream }) => stream === this.stream)) {
      await follower.want([{ line, must: false }]);
      await follower.endsWith("stream-deleted");
    }
    real.followers = real.followers.filter(({ stream }) => stream !== this.stream);
  }

  toString(): string {
    return `${this.#kind} ${this.stream} (${this.#wanted})`;
  }
}

async function removeExisting(served: ServedLog, kind: "delete" | "tombstone", stream: string): Promise<string> {
  const Request = kind === "delete" ? DeleteReq : TombstoneReq;
  const options = new Request.Options();
  const identifier = new StreamIdentifier();
  identifier.setStreamName(Buffer.from(stream));
  options.setStreamIdentifier(identifier);
  options.setStreamExists(new Empty());
  const request = new Request();
  request.setOptions(options);
  const session = connectHttp2(`http://${served.address}`);
  try {
    const path = `/event_store.client.streams.Streams/${kind === "delete" ? "Delete" : "Tombstone"}`;
    const { status, trailers } = await ask(session, path, frame(request.serializeBinary()));
    return status === 0 ? "done" : String(trailers.exception);
  } finally {
    session.close();
  }
}

class SetMetadata extends StreamCommand {
  readonly #wanted: Expectation;
  readonly #metadata: Metadata;

  constructor(stream: string, wanted: Expectation, metadata: Metadata) {
    super(stream);
    this.#wanted = wanted;
    this.#metadata = metadata;
  }

  protected async perform(model: StreamModel, { client }: Real): Promise<void> {
    const expected = expectedOf(model, `$$${this.stream}`, this.#wanted);
    const options = { expectedRevision: asked(expected) };
    const answer = await outcome(client.setStreamMetadata(this.stream, { ...this.#metadata }, options));
    expect(answer).toBe(model.setMetadata(this.stream, expected, this.#metadata));
  }

  toString(): string {
    return `metadata of ${this.stream} (${this.#wanted}): ${JSON.stringify(this.#metadata)}`;
  }
}

class GetMetadata extends StreamCommand {
  protected async perform(model: StreamModel, { client }: Real): Promise<void> {
    const reading = client.getStreamMetadata(this.stream);
    if (model.isTombstoned(this.stream)) return expect(await outcome(reading)).toBe("stream-deleted");
    const { metadata = {} } = await reading;
    const { truncateBefore, ...others } = metadata as Metadata;
    const { truncateBefore: wanted, ...rest } = model.metadata(this.stream);
    expect(others).toEqual(rest);
    if (wanted === Number.POSITIVE_INFINITY) expect(truncateBefore).toBeGreaterThan(Number.MAX_SAFE_INTEGER);
    else expect(truncateBefore).toBe(wanted);
  }

  toString(): string {
    return `get metadata of ${this.stream}`;
  }
}

type Place = number | "start" | "end";

interface Reading {
  readonly from: Place;
  readonly isBackward: boolean;
  readonly count: number;
}

class Read extends StreamCommand {
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

async function taken(reading: AsyncIterable<unknown>, seen: string[]): Promise<void> {
  for await (const one of reading) seen.push(lineOfResolved(one as never));
}

class ReadAll implements Command {
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
class ReadList implements Command {
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

/** Opens a subscription that stays; it brings what is there after its place, then what comes. */
class Subscribe implements Command {
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

class PassTime implements Command {
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

class Reopen implements Command {
  check(): boolean {
    return true;
  }

  async run(_model: StreamModel, real: Real): Promise<void> {
    for (const { follower } of real.followers.splice(0)) await follower.close();
    await real.client.dispose();
    real.served = await real.served.reopened();
    real.client = connect(real.served);
  }

  toString(): string {
    return "reopen";
  }
}

const expectation = fc.constantFrom<Expectation>("any", "any", "head", "head", "none", "exists", "off");
const stream = fc.constantFrom(...STREAMS);
const small = fc.integer({ min: 0, max: 12 });
const place = fc.oneof({ weight: 4, arbitrary: small }, fc.constantFrom<Place>("start", "end"));
const reading = fc.record({ from: place, isBackward: fc.boolean(), count: fc.integer({ min: 1, max: 12 }) });
/** Far enough from any multiple of {@link STEP_S} for the time that a run takes. */
const maxAge = fc.constantFrom(500, 1500);
const STEP_S = 1000;
const metadata = fc.record(
  { maxCount: fc.integer({ min: 1, max: 6 }), truncateBefore: small, maxAge },
  { requiredKeys: [] },
);

const one = (make: fc.Arbitrary<Command>, times: number): fc.Arbitrary<Command>[] => Array(times).fill(make);

/** Commands for `fc.commands`, the frequent ones several times. */
export const COMMANDS: fc.Arbitrary<Command>[] = [
  ...one(
    fc
      .tuple(stream, expectation, fc.integer({ min: 0, max: 4 }), fc.boolean())
      .map(([name, wanted, count, isAlone]) => new Append(name, wanted, count, isAlone)),
    6,
  ),
  stream.map((name) => new Race(name)),
  ...one(
    fc.tuple(fc.nat(20), fc.boolean()).map(([which, isAlone]) => new Retry(which, isAlone)),
    2,
  ),
  ...one(
    fc.tuple(stream, expectation).map(([name, wanted]) => new Removal("delete", name, wanted)),
    2,
  ),
  fc.tuple(fc.constant(STREAMS[1]), expectation).map(([name, wanted]) => new Removal("tombstone", name, wanted)),
  ...one(
    fc.tuple(stream, expectation, metadata).map(([name, wanted, to]) => new SetMetadata(name, wanted, to)),
    2,
  ),
  stream.map((name) => new GetMetadata(name)),
  ...one(
    fc.tuple(stream, reading).map(([name, how]) => new Read(name, how)),
    4,
  ),
  ...one(
    reading.map((how) => new ReadAll(how)),
    2,
  ),
  fc.constantFrom("$ce-a", "$et-Counted").map((list) => new ReadList(list)),
  ...one(
    fc.tuple(stream, place).map(([name, from]) => new Subscribe(name, from)),
    2,
  ),
  place.map((from) => new Subscribe(undefined, from)),
  fc.constant(new PassTime(STEP_S)),
  fc.constant(new Reopen()),
];
