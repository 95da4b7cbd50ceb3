/** A window node whose windows hop, under the faults of the simulation: crashes, lost and repeated frames, torn writes, two owners. */
import { type CommittedBehavior, type CommittedContext, type Draft, type Json, parseAggregate } from "@millrace/engine";
import { type Scenario, simulate } from "@millrace/engine/testing";
import { expect, it } from "vitest";
import { field } from "../src/field.ts";
import { window } from "../src/window/window.ts";
import { FRESH } from "./recording-draft.ts";

const SIZE_MS = 8000;
const EVERY_MS = 2000;
const BOUND_MS = 1000;
const EPOCH_MS = Date.UTC(2026, 0, 1);
const MESSAGES = 60;
const SEEDS = 8;

interface Row {
  readonly key: string;
  readonly time: number;
  readonly value: number;
}

/** Every row in every window that holds it. */
function batchReference(rows: readonly Row[]): readonly string[] {
  const sums = new Map<string, readonly [number, number]>();
  for (const { key, time, value } of rows) {
    const last = Math.floor(time / EVERY_MS) * EVERY_MS;
    for (let start = last; start > last - SIZE_MS; start -= EVERY_MS) {
      const [n, sum] = sums.get(`${key} ${start}`) ?? [0, 0];
      sums.set(`${key} ${start}`, [n + 1, sum + value]);
    }
  }
  return [...sums].map(([group, sum]) => `${group} ${sum}`).sort();
}

function told(row: Json): string {
  const { key, window_start, n, sum } = row as { key: string; window_start: string; n: number; sum: number };
  return `${key} ${Date.parse(window_start)} ${[n, sum]}`;
}

/**
 * What a node asked for when it was executed again: the next part of what is due. A step in which the watermark has already sent
 * one out was not asked for, though it had no messages, either; its draft, which is the simulation's own, shows it.
 */
function nextParts(): (node: CommittedBehavior, draft: Draft) => void {
  const asked = new WeakMap<CommittedBehavior, (draft: Draft) => void | Promise<void>>();
  return (node, draft) => {
    if ((draft as Draft & { readonly changes: readonly unknown[] }).changes.length > 0) return;
    const request: CommittedContext["request"] = (run) => {
      asked.set(node, run);
      return new Promise(() => undefined);
    };
    const { signal } = new AbortController();
    if (!asked.has(node))
      void node.open?.({
        graph: "g",
        node: "windows",
        revision: 1,
        output: FRESH,
        request,
        fail: () => undefined,
        signal,
      });
    void asked.get(node)?.(draft);
  };
}

/** @param partBytes small enough that what ends at once takes several steps, or not */
function hopping(partBytes: number): Scenario {
  return {
    name: `hopping-${partBytes}`,
    covers: [],
    build({ random, target }) {
      let nowMs = 0;
      const messages = Array.from({ length: MESSAGES }, (_, pos) => {
        nowMs += random.below(1500);
        const time = EPOCH_MS + nowMs * 2 - random.below(BOUND_MS);
        const row = { key: `k${random.below(3)}`, time, value: random.between(0, 9) };
        return { pos, row, availableMs: nowMs };
      });
      const input = new Map([["p0", messages]]);
      const out = target({ name: "out", kind: "key" });
      const make = () =>
        window({
          sizeMs: SIZE_MS,
          everyMs: EVERY_MS,
          partBytes,
          time: field("time"),
          by: new Map([["key", field("key")]]),
          compute: new Map([
            ["n", parseAggregate("count()")],
            ["sum", parseAggregate("sum(event.value)")],
          ]),
        });
      return {
        sources: new Map([["input", input]]),
        targets: new Map([["out", out]]),
        nodes: (host) => [
          {
            name: "input",
            kind: "source",
            role: "source",
            connector: host.source(input),
            frameMessagesMax: 8,
            eventTime: { field: "time", boundMs: BOUND_MS },
          },
          { name: "windows", kind: "window", role: "committed", make },
          { name: "out", kind: "sink", role: "committed", isSink: true, make: () => host.sink(out) },
        ],
        edges: [
          { from: "input", to: "windows" },
          { from: "windows", to: "out" },
        ],
        requests: new Map([["windows", nextParts()]]),
        expect: () =>
          expect(out.rows.map(({ row }) => told(row)).sort()).toEqual(batchReference(messages.map(({ row }) => row))),
      };
    },
  };
}

it.each([
  ["at once", 1024 * 1024],
  ["in parts", 200],
])("gives what a batch computation gives, each row once, when windows go out %s", async (_name, partBytes) => {
  let crashes = 0;
  for (let seed = 0; seed < SEEDS; seed++) {
    const result = await simulate(seed, hopping(partBytes));
    expect(result.failure).toBeUndefined();
    crashes += result.crashes;
  }
  expect(crashes).toBeGreaterThan(0);
});
