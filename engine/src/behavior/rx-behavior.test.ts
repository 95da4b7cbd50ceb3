import { bufferCount, filter, map, merge, mergeMap, NEVER, of, take, tap } from "rxjs";
import { expect, test } from "vitest";
import { reportOf } from "../errors.ts";
import { RowBatch } from "../frame/batch.ts";
import type { PureBehavior } from "./pure-behavior.ts";
import { Message, rxBehavior, rxEach } from "./rx-behavior.ts";

const numbers = new RowBatch([1, 2, 3, 4]);

function run(behavior: PureBehavior, batch = numbers): { rows: unknown; sources: unknown } {
  const [output] = behavior.transform(batch).outputs;
  return { rows: output?.batch.rows(), sources: output?.sources === null ? null : [...(output?.sources ?? [])] };
}

function codeOf(work: () => unknown): string {
  try {
    work();
    return "nothing";
  } catch (thrown) {
    return reportOf(thrown).code;
  }
}

const tenfold = (message: Message): Message => message.map((message.value as number) * 10);

test("a pipe over frames and a pipe over messages do the same", () => {
  const odd = (message: Message): boolean => (message.value as number) % 2 === 1;
  const expected = { rows: [10, 30], sources: [0, 2] };
  expect(run(rxBehavior((in$) => in$.pipe(map((messages) => messages.filter(odd).map(tenfold)))))).toEqual(expected);
  expect(run(rxEach((in$) => in$.pipe(filter(odd), map(tenfold))))).toEqual(expected);
  expect(run(rxEach((in$) => in$.pipe(map(tenfold))))).toEqual({ rows: [10, 20, 30, 40], sources: null });
});

test("an expansion keeps each message's place, whatever order the pipe emits in", () => {
  const reversed = rxBehavior((in$) =>
    in$.pipe(map((messages) => [...messages].reverse().flatMap((m) => [m.map("a"), m.map("b")]))),
  );
  expect(run(reversed)).toEqual({ rows: ["a", "b", "a", "b", "a", "b", "a", "b"], sources: [0, 0, 1, 1, 2, 2, 3, 3] });
  expect(
    run(
      rxEach((in$) => in$.pipe(mergeMap((m) => of(m, m)))),
      new RowBatch([7]),
    ),
  ).toEqual({ rows: [7, 7], sources: [0, 0] });
});

test("every branch of a pipe gets the messages, and what the branches emit is in message order", () => {
  const isSmall = (message: Message): boolean => (message.value as number) < 3;
  const branches = rxEach((in$) =>
    merge(in$.pipe(filter((message) => !isSmall(message))), in$.pipe(filter(isSmall), map(tenfold))),
  );
  expect(run(branches).rows).toEqual([10, 20, 3, 4]);
  const twice = rxBehavior((in$) => merge(in$, in$));
  expect(run(twice, new RowBatch([7, 8])).rows).toEqual([7, 7, 8, 8]);
});

test("an emission after the frame is an error of the next frame, and then the pipe is new", async () => {
  let isLate = true;
  const behavior = rxEach((in$) => (isLate ? in$.pipe(mergeMap((m) => Promise.resolve(m))) : in$));
  expect(run(behavior).rows).toEqual([]);
  await new Promise(setImmediate);
  isLate = false;
  expect(codeOf(() => run(behavior))).toBe("RX-ASYNC");
  expect(run(behavior).rows).toEqual([1, 2, 3, 4]);
});

test("a message of another frame is refused", () => {
  const pairs = rxEach((in$) =>
    in$.pipe(
      bufferCount(3),
      mergeMap((messages) => messages),
    ),
  );
  run(pairs, new RowBatch([1, 2]));
  expect(codeOf(() => run(pairs, new RowBatch([3])))).toBe("RX-ASYNC");
  expect(codeOf(() => run(rxEach((in$) => in$.pipe(map(() => new Message(1, 0, {}))))))).toBe("RX-ASYNC");
});

test("an error in the pipe fails the frame, and the next frame gets a new pipe", () => {
  let built = 0;
  const picky = rxEach((in$) => {
    built++;
    return in$.pipe(
      tap((message) => {
        if (message.value === 3) throw new RangeError("three");
      }),
    );
  });
  expect(() => run(picky)).toThrow("three");
  expect(run(picky, new RowBatch([1, 2])).rows).toEqual([1, 2]);
  expect(built).toBe(2);
});

test("a pipe that completes is an error instead of silence", () => {
  expect(codeOf(() => run(rxEach((in$) => in$.pipe(take(2)))))).toBe("RX-COMPLETED");
  expect(codeOf(() => run(rxEach((in$) => merge(in$.pipe(take(2)), NEVER))))).toBe("RX-COMPLETED");
  expect(codeOf(() => run(rxEach(() => NEVER)))).toBe("RX-COMPLETED");
});
