/** The contract of connectors finds those that break their word, and a word that nothing proves. */
import { describe, expect, test } from "vitest";
import { RowBatch } from "../src/frame/batch.ts";
import type { Json, JsonObject } from "../src/frame/json.ts";
import { Positions } from "../src/frame/positions.ts";
import type { SinkConnector } from "../src/sink/sink-connector.ts";
import type { SinkGuarantee } from "../src/sink/sink-guarantee.ts";
import type { Feed, FeedCapabilities, FeedIntake } from "../src/source/feed.ts";
import type { SourceCapabilities, SourceConnector } from "../src/source/source-connector.ts";
import {
  type CaseNumber,
  CONNECTOR_CASES,
  type ConnectorSuite,
  LeftOut,
  unproved,
} from "../src/testing/connector/cases.ts";
import type { FeedHarness } from "../src/testing/connector/feed-harness.ts";
import { feedContract, feedSuite } from "../src/testing/feed-contract.ts";
import { sinkContract, sinkSuite } from "../src/testing/sink-contract.ts";
import { sourceContract, sourceSuite } from "../src/testing/source-contract.ts";

interface SourceLies {
  /** What another opening gives instead of a row. */
  readonly again?: Json;
  readonly isBackwards?: boolean;
  readonly isEndless?: boolean;
  readonly isGreedy?: boolean;
}

const HONEST: SourceCapabilities = { replay: true, ordered: true, bounded: true };

function listSource(rows: readonly Json[], capabilities = HONEST, lies: SourceLies = {}): SourceConnector {
  let openings = 0;
  return {
    capabilities,
    partitions: async () => ["0"],
    async open(_, after) {
      const isAgain = openings++ > 0;
      const held = lies.isBackwards === true ? rows.toReversed() : rows;
      let next = after + 1;
      let isOpen = true;
      return {
        async read(most) {
          if (!isOpen) return "idle";
          if (next >= held.length) return capabilities.bounded && lies.isEndless !== true ? "end" : "idle";
          const from = next;
          const n = lies.isGreedy === true ? held.length - from : Math.min(most, held.length - from);
          next += n;
          const some = held.slice(from, next).map((row) => (isAgain && lies.again !== undefined ? lies.again : row));
          return { batch: new RowBatch(some), positions: Positions.dense(from, n), through: next - 1, rejected: [] };
        },
        async close() {
          isOpen = false;
        },
      };
    },
  };
}

const holding = (capabilities?: SourceCapabilities, lies?: SourceLies) => ({
  async holding(rows: readonly JsonObject[]) {
    return { connector: listSource(rows, capabilities, lies), close: async () => undefined };
  },
});

/** A queue of bodies, as a broker keeps it. */
class BodyQueue {
  readonly #bodies: { readonly id: number; readonly body: string }[] = [];
  #next = 0;
  #changed: () => void = () => undefined;

  constructor() {
    this.connect = this.connect.bind(this);
  }

  async send(bodies: readonly string[]): Promise<void> {
    for (const body of bodies) this.#bodies.push({ id: this.#next++, body });
    this.#changed();
  }

  connect(unsettledMax: number, capabilities: FeedCapabilities = QUEUE, lie?: keyof FeedCapabilities): Feed {
    const settles = (id: number): void => {
      const at = this.#bodies.findIndex((held) => held.id === id);
      if (at >= 0) this.#bodies.splice(at, 1);
    };
    let isRunning = false;
    return {
      capabilities,
      connection: () => ({ ...STATUS, state: isRunning ? "up" : "idle" }),
      run: async (intake: FeedIntake, signal: AbortSignal) => {
        isRunning = true;
        const taken = new Set<number>();
        const unsettled = new Set<number>();
        const pump = (): void => {
          if (signal.aborted) return;
          const waiting = this.#bodies.filter(({ id }) => !taken.has(id));
          for (const { id, body } of lie === "ordered" ? waiting.toReversed() : waiting) {
            if (unsettled.size >= unsettledMax && lie !== "pause") return;
            taken.add(id);
            unsettled.add(id);
            const receipt = {
              id: String(id),
              settle: () => {
                unsettled.delete(id);
                settles(id);
                queueMicrotask(pump);
              },
            };
            if (lie === "nack") settles(id);
            try {
              intake.take(JSON.parse(body) as Json, receipt);
            } catch {
              intake.reject(decodeError, body, receipt);
            }
          }
        };
        this.#changed = pump;
        pump();
        await new Promise<void>((stopped) => signal.addEventListener("abort", () => stopped(), { once: true }));
        isRunning = false;
      },
    };
  }
}

const STATUS = { name: "queue", endpoint: null, reason: "", sinceMs: 0, connects: 0, failures: 0 };
const QUEUE: FeedCapabilities = { ordered: true, pause: true, nack: true };
const decodeError = Object.assign(new Error("no JSON"), {
  code: "MSG-DECODE",
  kind: "rejected",
  place: { stream: "q" },
});

const queueOf = (capabilities?: FeedCapabilities, lie?: keyof FeedCapabilities) => async (): Promise<FeedHarness> => {
  const queue = new BodyQueue();
  return {
    connect: (most) => queue.connect(most, capabilities, lie),
    send: (bodies) => queue.send(bodies),
    close: async () => undefined,
  };
};

type SinkLie = "cuts nothing" | "loses";

/** A target in memory; one that keeps its offset cuts what was not committed. */
const targetOf = (guarantee: SinkGuarantee, lie?: SinkLie) => async () => {
  let held: Json[] = [];
  return {
    connect(): SinkConnector {
      return {
        guarantee,
        async open(committed) {
          if (guarantee === "offset" && lie !== "cuts nothing") held = held.slice(0, Number(committed ?? 0));
        },
        async deliver(slices) {
          for (const { batch } of slices) held.push(...batch.rows().slice(lie === "loses" ? 1 : 0));
          return held.length;
        },
        close: async () => undefined,
      };
    },
    content: async () => held,
    close: async () => undefined,
  };
};

/** A target in memory that compares keys; one that lies looks only when it is opened, and misses what comes later. */
const keyedTarget = (lie?: "looks once") => async () => {
  const held: { readonly key: string; readonly row: Json }[] = [];
  const keys = (): Set<string> => new Set(held.map(({ key }) => key));
  return {
    connect(): SinkConnector {
      let present = keys();
      return {
        guarantee: "key",
        async open() {
          present = keys();
        },
        async deliver(slices) {
          if (lie === undefined) present = keys();
          for (const { lane, batch, positions } of slices)
            batch.rows().forEach((row, i) => {
              const key = `${lane}/${positions.pos(i)}/${positions.ord(i)}`;
              if (!present.has(key)) held.push({ key, row });
            });
          return null;
        },
        close: async () => undefined,
      };
    },
    content: async () => held.map(({ row }) => row),
    close: async () => undefined,
  };
};

sourceContract("a list", holding());
feedContract("a queue in memory", queueOf());
sinkContract("a target in memory", targetOf("offset"));
sinkContract("a target in memory that compares keys", keyedTarget());
sinkContract("a target in memory that keeps no offset", targetOf("at-least-once"));

/** Numbers of the cases that fail. */
async function failing({ cases }: ConnectorSuite, only: readonly CaseNumber[]): Promise<readonly CaseNumber[]> {
  const failed: CaseNumber[] = [];
  for (const { number, run } of cases.filter((one) => only.includes(one.number)))
    await run().catch((error: unknown) => {
      if (!(error instanceof LeftOut)) failed.push(number);
    });
  return failed;
}

describe("a connector that breaks its word fails a case", () => {
  test.each<[string, SourceLies, SourceCapabilities, CaseNumber[]]>([
    ["gives other messages for the same positions", { again: "other" }, HONEST, [10, 11]],
    ["gives its messages backwards", { isBackwards: true }, HONEST, [5, 8]],
    ["never ends", { isEndless: true }, HONEST, [23]],
    ["gives more than it was asked for", { isGreedy: true }, HONEST, [4, 15]],
  ])("a source that %s", async (_, lies, capabilities, numbers) => {
    expect(await failing(sourceSuite(holding()), numbers)).toEqual([]);
    expect(await failing(sourceSuite(holding(capabilities, lies)), numbers)).toEqual(numbers);
  });

  test.each<[keyof FeedCapabilities, CaseNumber]>([
    ["ordered", 8],
    ["pause", 15],
  ])("a feed that is not %s", async (lie, number) => {
    expect(await failing(feedSuite(queueOf()), [number])).toEqual([]);
    expect(await failing(feedSuite(queueOf(QUEUE, lie)), [number])).toEqual([number]);
  });

  test.each<[SinkGuarantee, SinkLie, CaseNumber[]]>([
    ["offset", "cuts nothing", [12, 24, 24]],
    ["at-least-once", "loses", [12]],
  ])("a sink %s that %s", async (guarantee, lie, numbers) => {
    expect(await failing(sinkSuite(targetOf(guarantee)), numbers)).toEqual([]);
    expect((await failing(sinkSuite(targetOf(guarantee, lie)), numbers)).toSorted()).toEqual(numbers);
  });

  test("a sink key that takes what a dead incarnation delivers late", async () => {
    expect(await failing(sinkSuite(keyedTarget()), [12, 24])).toEqual([]);
    expect(await failing(sinkSuite(keyedTarget("looks once")), [12, 24])).toEqual([24]);
  });
});

describe("a capability that no case proves", () => {
  const numbersOf = ({ cases }: ConnectorSuite): readonly CaseNumber[] => cases.map(({ number }) => number);

  test("is named, whoever declares it", async () => {
    const liar = sourceSuite(holding({ ...HONEST, nack: true, transactions: true } as SourceCapabilities));
    expect(unproved("source", await liar.declared(), numbersOf(liar))).toEqual([
      "nack: case 13 is not run",
      "transactions: no case proves it",
    ]);
    const lossy = feedSuite(queueOf(QUEUE), { isLossy: true });
    expect(unproved("feed", await lossy.declared(), numbersOf(lossy))).toEqual([
      "ordered: case 8 is not run",
      "pause: case 15, 17 is not run",
      "nack: case 12, 13 is not run",
    ]);
    const unknown = sinkSuite(targetOf("twice" as SinkGuarantee));
    expect(unproved("sink", await unknown.declared(), numbersOf(unknown))).toEqual(["twice: no case proves it"]);
  });

  test("is not proved by a case that the connector was not put to", async () => {
    const suite = feedSuite(queueOf(), { elsewhere: { cases: [13], where: "another suite" } });
    await expect(suite.cases.find(({ number }) => number === 13)?.run()).rejects.toBeInstanceOf(LeftOut);
    const put = numbersOf(suite).filter((number) => number !== 13);
    expect(unproved("feed", await suite.declared(), put)).toEqual(["nack: case 13 is not run"]);
  });
});

test("there is a case for every number, and a suite for it", () => {
  const numbers = new Set(
    [sourceSuite(holding()), feedSuite(queueOf()), sinkSuite(targetOf("offset"))].flatMap(({ cases }) =>
      cases.map(({ number }) => number),
    ),
  );
  // Case 25 is the suite's own.
  expect([...numbers, 25].toSorted((a, b) => a - b)).toEqual(Object.keys(CONNECTOR_CASES).map(Number));
});
