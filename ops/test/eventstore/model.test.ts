/**
 * Random appends, retries, deletes, tombstones, metadata and reads over the endpoint agree with a small model of what
 * EventStoreDB promises, over both logs, and still do after everything was closed and opened again.
 */
import {
  type AppendExpectedRevision,
  BACKWARDS,
  type ErrorType,
  EventStoreDBClient,
  FORWARDS,
  jsonEvent,
} from "@eventstore/db-client";
import fc from "fast-check";
import { expect, it } from "vitest";
import { LOGS, type ServedLog, serveLog } from "./served-log.ts";

const RUNS = 25;
const STREAMS = ["a", "b/ü", "$c"] as const;

type Expectation = "any" | "no_stream" | "stream_exists" | "head" | "off";
type Operation =
  | { readonly do: "append"; readonly stream: string; readonly expected: Expectation; readonly count: number }
  | { readonly do: "retry"; readonly which: number }
  | { readonly do: "delete"; readonly stream: string; readonly expected: Expectation }
  | { readonly do: "tombstone"; readonly stream: string; readonly expected: Expectation }
  | { readonly do: "metadata"; readonly stream: string; readonly maxCount: number; readonly truncateBefore: number }
  | {
      readonly do: "read";
      readonly stream: string;
      readonly from: number;
      readonly isBackward: boolean;
      readonly count: number;
    }
  | { readonly do: "readAll"; readonly from: number; readonly isBackward: boolean; readonly count: number }
  | { readonly do: "reopen" };

const stream = fc.constantFrom(...STREAMS);
const expected = fc.constantFrom<Expectation>("any", "any", "head", "head", "no_stream", "stream_exists", "off");
/** The client cannot ask a delete for `stream_exists`. */
const expectedOfDelete = expected.filter((one) => one !== "stream_exists");
const small = fc.integer({ min: 0, max: 12 });
const count = fc.integer({ min: 1, max: 12 });
const place = { from: small, isBackward: fc.boolean(), count };
const weighted = (weight: number, arbitrary: fc.Arbitrary<Operation>) => ({ weight, arbitrary });
const operation: fc.Arbitrary<Operation> = fc.oneof(
  weighted(
    6,
    fc.record({ do: fc.constant("append" as const), stream, expected, count: fc.integer({ min: 1, max: 4 }) }),
  ),
  weighted(1, fc.record({ do: fc.constant("retry" as const), which: fc.nat(20) })),
  weighted(1, fc.record({ do: fc.constant("delete" as const), stream, expected: expectedOfDelete })),
  weighted(
    1,
    fc.record({ do: fc.constant("tombstone" as const), stream: fc.constant(STREAMS[1]), expected: expectedOfDelete }),
  ),
  weighted(1, fc.record({ do: fc.constant("metadata" as const), stream, maxCount: small, truncateBefore: small })),
  weighted(4, fc.record({ do: fc.constant("read" as const), stream, ...place })),
  weighted(2, fc.record({ do: fc.constant("readAll" as const), ...place })),
  weighted(1, fc.record({ do: fc.constant("reopen" as const) })),
);

interface ModelStream {
  /** Numbers of its events, by revision. */
  readonly events: number[];
  isTombstoned: boolean;
  isDeleted: boolean;
  /** A stream with metadata exists, whether it has events or not. */
  hasMetadata: boolean;
  maxCount: number;
  truncateBefore: number;
}

interface Accepted {
  readonly stream: string;
  readonly expected: AppendExpectedRevision;
  readonly events: ReturnType<typeof eventOf>[];
  readonly revision: number;
}

/** What the log should hold: streams as they are seen, and every event in the order of positions. */
class Model {
  readonly streams = new Map<string, ModelStream>();
  readonly accepted: Accepted[] = [];
  /** The number of a client's event, or the type of one that the endpoint wrote. */
  readonly all: (number | string)[] = [];
  drawn = 0;

  of(name: string): ModelStream {
    let state = this.streams.get(name);
    if (state === undefined) {
      state = { events: [], isTombstoned: false, isDeleted: false, hasMetadata: false, maxCount: 0, truncateBefore: 0 };
      this.streams.set(name, state);
    }
    return state;
  }

  revision(name: string, wanted: Expectation): AppendExpectedRevision {
    const head = this.of(name).events.length - 1;
    if (wanted === "off") return BigInt(head + 2);
    if (wanted !== "head") return wanted;
    return head < 0 ? "no_stream" : BigInt(head);
  }

  isMet(name: string, wanted: AppendExpectedRevision): boolean {
    const { events, hasMetadata } = this.of(name);
    if (wanted === "any") return true;
    if (wanted === "no_stream") return events.length === 0;
    return wanted === "stream_exists" ? events.length > 0 || hasMetadata : BigInt(events.length - 1) === wanted;
  }

  /** Revisions that a reader sees. */
  visible(name: string): number[] {
    const { events, maxCount, truncateBefore } = this.of(name);
    const first = Math.max(truncateBefore, maxCount === 0 ? 0 : events.length - maxCount);
    return events.map((_, revision) => revision).filter((revision) => revision >= first);
  }
}

const eventOf = (n: number) => jsonEvent({ type: "Counted", data: { n } });

/** The type of error that an action ends with, or "done". */
async function outcome(action: Promise<unknown>): Promise<ErrorType | "done"> {
  return action.then(
    () => "done" as const,
    (error: { readonly type: ErrorType }) => error.type,
  );
}

type Client = InstanceType<typeof EventStoreDBClient>;

it.each(LOGS)(
  "agrees with a model over the %s log",
  async (kind) => {
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { minLength: 1, maxLength: 30 }), async (operations) => {
        const model = new Model();
        let served = await serveLog(kind);
        let client = connect(served);
        try {
          for (const op of operations) {
            if (op.do !== "reopen") await perform(op, model, client);
            else {
              await client.dispose();
              served = await served.reopened();
              client = connect(served);
            }
          }
        } finally {
          await client.dispose();
          await served.close();
        }
      }),
      { numRuns: RUNS },
    );
  },
  120_000,
);

const connect = ({ address }: ServedLog): Client => EventStoreDBClient.connectionString(`esdb://${address}?tls=false`);

async function perform(op: Exclude<Operation, { readonly do: "reopen" }>, model: Model, client: Client): Promise<void> {
  if (op.do === "append") await append(op, model, client);
  else if (op.do === "retry") await retry(op.which, model, client);
  else if (op.do === "delete") await remove(op, model, client);
  else if (op.do === "tombstone") await tombstone(op, model, client);
  else if (op.do === "metadata") await setMetadata(op, model, client);
  else if (op.do === "read") await read(op, model, client);
  else await readAll(op, model, client);
}

type Of<D extends Operation["do"]> = Extract<Operation, { readonly do: D }>;
/** Deletes and tombstones are of one form. */
type Removal = Of<"delete" | "tombstone">;

async function append(op: Of<"append">, model: Model, client: Client): Promise<void> {
  const state = model.of(op.stream);
  const events = Array.from({ length: op.count }, () => eventOf(model.drawn++));
  const expectedRevision = model.revision(op.stream, op.expected);
  const result = outcome(client.appendToStream(op.stream, events, { expectedRevision }));
  if (state.isTombstoned || (state.isDeleted && expectedRevision === "stream_exists"))
    return expect(await result).toBe("stream-deleted");
  const isMet = model.isMet(op.stream, expectedRevision) || (state.isDeleted && expectedRevision === "no_stream");
  expect(await result).toBe(isMet ? "done" : "wrong-expected-version");
  if (!isMet) return;
  const numbers = events.map(({ data }) => data.n);
  if (state.isDeleted) state.truncateBefore = state.events.length;
  state.events.push(...numbers);
  model.all.push(...(state.isDeleted ? ["$metadata"] : []), ...numbers);
  state.isDeleted = false;
  const revision = state.events.length - 1;
  model.accepted.push({ stream: op.stream, expected: expectedRevision, events, revision });
}

async function retry(which: number, model: Model, client: Client): Promise<void> {
  const earlier = model.accepted[which % Math.max(1, model.accepted.length)];
  if (earlier === undefined) return;
  const { isTombstoned, isDeleted } = model.of(earlier.stream);
  if (isTombstoned || isDeleted) return;
  const { stream: name, events, expected: expectedRevision } = earlier;
  const result = await client.appendToStream(name, events, { expectedRevision });
  expect(result.nextExpectedRevision).toBe(BigInt(earlier.revision));
}

function deletable(expected: AppendExpectedRevision): Exclude<AppendExpectedRevision, "stream_exists"> {
  if (expected === "stream_exists") throw new Error("the client has no such deletion");
  return expected;
}

async function remove(op: Removal, model: Model, client: Client): Promise<void> {
  const state = model.of(op.stream);
  const expectedRevision = deletable(model.revision(op.stream, op.expected));
  const result = await outcome(client.deleteStream(op.stream, { expectedRevision }));
  if (state.isTombstoned) return expect(result).toBe("stream-deleted");
  const isMet = model.isMet(op.stream, expectedRevision) && (expectedRevision !== "any" || state.events.length > 0);
  expect(result).toBe(isMet ? "done" : "wrong-expected-version");
  if (!isMet) return;
  Object.assign(state, { isDeleted: true, hasMetadata: true });
  model.all.push("$metadata");
}

async function tombstone(op: Removal, model: Model, client: Client): Promise<void> {
  const state = model.of(op.stream);
  const expectedRevision = deletable(model.revision(op.stream, op.expected));
  const result = await outcome(client.tombstoneStream(op.stream, { expectedRevision }));
  if (state.isTombstoned) return expect(result).toBe("stream-deleted");
  const isMet = model.isMet(op.stream, expectedRevision);
  expect(result).toBe(isMet ? "done" : "wrong-expected-version");
  if (!isMet) return;
  state.isTombstoned = true;
  model.all.push("$streamDeleted");
}

async function setMetadata(op: Of<"metadata">, model: Model, client: Client): Promise<void> {
  const state = model.of(op.stream);
  const { maxCount, truncateBefore } = op;
  const metadata = { truncateBefore, ...(maxCount === 0 ? {} : { maxCount }) };
  const result = await outcome(client.setStreamMetadata(op.stream, metadata));
  if (state.isTombstoned) return expect(result).toBe("stream-deleted");
  expect(result).toBe("done");
  Object.assign(state, { maxCount, truncateBefore, isDeleted: false, hasMetadata: true });
  model.all.push("$metadata");
}

async function read(op: Of<"read">, model: Model, client: Client): Promise<void> {
  const { isTombstoned, isDeleted, events } = model.of(op.stream);
  const seen: [number, unknown][] = [];
  const direction = op.isBackward ? BACKWARDS : FORWARDS;
  const options = { direction, fromRevision: BigInt(op.from), maxCount: op.count } as const;
  const reading = (async () => {
    for await (const { event } of client.readStream<{ type: "Counted"; data: { n: number } }>(op.stream, options))
      if (event) seen.push([Number(event.revision), event.data.n]);
  })();
  const result = await outcome(reading);
  if (isTombstoned) return expect(result).toBe("stream-deleted");
  if (events.length === 0 || isDeleted) return expect(result).toBe("stream-not-found");
  expect(result).toBe("done");
  const ordered = op.isBackward ? model.visible(op.stream).reverse() : model.visible(op.stream);
  const wanted = ordered.filter((revision) => (op.isBackward ? revision <= op.from : revision >= op.from));
  expect(seen).toEqual(wanted.slice(0, op.count).map((revision) => [revision, events[revision]]));
}

async function readAll(op: Of<"readAll">, model: Model, client: Client): Promise<void> {
  const seen: unknown[] = [];
  const position = { commit: BigInt(op.from), prepare: BigInt(op.from) };
  const direction = op.isBackward ? BACKWARDS : FORWARDS;
  for await (const { event } of client.readAll({ direction, fromPosition: position, maxCount: op.count }))
    if (event) seen.push(event.type === "Counted" ? (event.data as { readonly n: number }).n : event.type);
  const wanted = op.isBackward ? model.all.slice(0, op.from).reverse() : model.all.slice(op.from);
  expect(seen).toEqual(wanted.slice(0, op.count));
}
