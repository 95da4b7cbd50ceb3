/** Which commands of a client there are, and how often each is drawn. */
import fc from "fast-check";
import { Append, Race, Retry } from "./append-commands.ts";
import { type Command, type Expectation, type Place, STREAMS } from "./model-command.ts";
import { Read, ReadAll, ReadList } from "./read-commands.ts";
import { GetMetadata, Removal, SetMetadata } from "./removal-commands.ts";
import { PassTime, Reopen, Subscribe } from "./subscribe-commands.ts";

const expectation = fc.constantFrom<Expectation>("any", "any", "head", "head", "none", "exists", "off");
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

/** Commands on single streams, for `fc.commands`, the frequent ones several times. */
export function streamCommands(names: readonly string[]): fc.Arbitrary<Command>[] {
  const stream = fc.constantFrom(...names);
  return [
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
    fc.constantFrom("$ce-a", "$et-Counted").map((list) => new ReadList(list)),
    ...one(
      fc.tuple(stream, place).map(([name, from]) => new Subscribe(name, from)),
      2,
    ),
    fc.constant(new PassTime(STEP_S)),
    fc.constant(new Reopen()),
  ];
}

/** Those that see the whole log: every position must be the model's. */
export const COMMANDS: fc.Arbitrary<Command>[] = [
  ...streamCommands(STREAMS),
  ...one(
    reading.map((how) => new ReadAll(how)),
    2,
  ),
  place.map((from) => new Subscribe(undefined, from)),
];
