import { beforeEach, expect, it } from "vitest";
import { Dictionary } from "./dictionary.ts";
import type { LogIndex } from "./log-index.ts";
import { StreamHeads, type StreamState } from "./stream-heads.ts";
import { TailTable } from "./tail-table.ts";

const KEPT = 4;
const name = (number: number): string => `s${number}`;

/** Heads by the numbers of streams: as they are, and as the index has them. */
let actual: Map<number, number>;
let indexed: ReadonlyMap<number, number>;
let looks: number[];
let tail: TailTable;
let heads: StreamHeads;

beforeEach(() => {
  actual = new Map();
  indexed = new Map();
  looks = [];
  tail = new TailTable(0);
  const index = {
    headOf: (number: number) => {
      looks.push(number);
      return indexed.get(number) ?? -1;
    },
  } as unknown as LogIndex;
  const source = { numberOf: (_: string, text: string) => Number(text.slice(1)), nameOf: () => undefined };
  heads = new StreamHeads(new Dictionary(source), index, tail, KEPT);
});

function append(number: number): StreamState {
  heads.trim();
  const state = heads.find(name(number)) as StreamState;
  state.head++;
  tail.add(state.lastPosition, 0, []);
  state.lastPosition = tail.end - 1;
  actual.set(number, state.head);
  return state;
}

function index(): void {
  indexed = new Map(actual);
  tail.release(tail.end);
}

function ask(...numbers: readonly number[]): number[] {
  looks = [];
  for (const number of numbers) {
    heads.trim();
    heads.find(name(number));
  }
  return looks;
}

it("a stream that is asked for again and again is looked up once, others when they are asked for again after many", () => {
  for (let number = 2; number <= 100; number++) expect(ask(1, number)).toEqual(number === 2 ? [1, 2] : [number]);
  expect(ask(2, 3, 4)).toEqual([2, 3, 4]);
});

it("streams of the tail stay however many others are asked for, and those others go", () => {
  const states = [1, 2, 3, 4, 5, 6].map(append);
  for (let round = 0; round < 3; round++) for (let number = 7; number <= 100; number++) ask(number);
  expect(ask(1, 2, 3, 4, 5, 6)).toEqual([]);
  expect([1, 2, 3, 4, 5, 6].map((number) => heads.find(name(number)))).toEqual(states);
  expect(ask(7, 8, 9, 10)).toEqual([7, 8, 9, 10]);
});

it("once the index has it, a stream of the tail goes like another, and has its head when it comes back", () => {
  for (const number of [1, 2, 3, 1]) append(number);
  index();
  for (let number = 10; number <= 60; number++) ask(number);
  expect(ask(1)).toEqual([1]);
  expect(append(1)).toEqual({ number: 1, head: 2, lastPosition: 4 });
});

it("what was found can be changed until the next trim, whatever else is found meanwhile", () => {
  heads.trim();
  const first = heads.find(name(1));
  for (let number = 2; number <= 50; number++) heads.find(name(number));
  expect(heads.find(name(1))).toBe(first);
});

it("no more streams stay than it keeps, and those of the tail", () => {
  for (let number = 1; number <= 100; number++) {
    append(number);
    if (number % 7 === 0) index();
  }
  index();
  for (let number = 50; number <= 60; number++) ask(number);
  const kept = Array.from({ length: 100 }, (_, i) => i + 1).filter((number) => {
    looks = [];
    heads.find(name(number));
    return looks.length === 0;
  });
  expect(kept.length).toBeLessThanOrEqual(2 * KEPT);
});
