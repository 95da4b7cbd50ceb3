/** Deletes, tombstones and metadata. */
import { connect as connectHttp2 } from "node:http2";
import { Empty, StreamIdentifier } from "@eventstore/db-client/generated/shared_pb.js";
import { DeleteReq, TombstoneReq } from "@eventstore/db-client/generated/streams_pb.js";
import type { ExpectedRevision } from "@millrace/engine";
import { expect } from "vitest";
import { asked, type Expectation, expectedOf, outcome, type Real, StreamCommand } from "./model-command.ts";
import { ask, frame } from "./raw-call.ts";
import type { ServedLog } from "./served-log.ts";
import type { Metadata, StreamModel } from "./stream-model.ts";

/** A delete or a tombstone. */
export class Removal extends StreamCommand {
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

export class SetMetadata extends StreamCommand {
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

export class GetMetadata extends StreamCommand {
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
