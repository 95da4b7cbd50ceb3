/**
 * The numbered cases of the contract that connectors keep, and which of them prove what a connector declares. A suite gives a
 * {@link ConnectorCase} for each that applies, so that a test of the suite itself can run them against a connector that breaks its word.
 */
import { describe, expect, test } from "vitest";

/** One list for sources, feeds and sinks; a case that makes no sense for one of them is not there. */
export const CONNECTOR_CASES = {
  1: "opening and closing",
  2: "closing what is in progress",
  3: "nothing to give or take",
  4: "batches",
  5: "every message, once, in order",
  6: "metadata",
  7: "values",
  8: "order of each key",
  9: "what is committed is plain data",
  10: "the same again",
  11: "resuming",
  12: "at least once",
  13: "what was not acknowledged comes again, and nothing else",
  14: "acknowledged out of order",
  15: "pausing",
  16: "saturated by what is not acknowledged",
  17: "back-pressure",
  18: "reconnecting",
  19: "unacknowledged when the connection breaks",
  20: "poison",
  21: "large messages",
  22: "missing",
  23: "the end, and what comes later",
  24: "exactly once",
  25: "nothing is declared that no case proves",
} as const;

export type CaseNumber = keyof typeof CONNECTOR_CASES;
export type ConnectorSide = "source" | "feed" | "sink";

export interface ConnectorCase {
  readonly number: CaseNumber;
  /** What is true of a connector that keeps the contract. */
  readonly statement: string;
  /** Rejects when it is not true, or with {@link LeftOut}. */
  run(): Promise<void>;
}

export interface ConnectorSuite {
  readonly side: ConnectorSide;
  readonly cases: readonly ConnectorCase[];
  /** Names of what a fresh connector declares. */
  declared(): Promise<readonly string[]>;
}

/** Cases that must have been put to a connector that declares the capability; the guarantee, of a sink. */
const PROOFS: Readonly<Record<ConnectorSide, Readonly<Partial<Record<string, readonly CaseNumber[]>>>>> = {
  source: { replay: [10, 11], ordered: [5, 8], bounded: [23], nack: [13], pause: [15] },
  feed: { resume: [11], ordered: [5, 8], pause: [15, 17], nack: [12, 13] },
  sink: {
    transaction: [12, 24],
    offset: [12, 24],
    key: [12, 24],
    "at-least-once": [12],
    "best-effort": [5],
  },
};

/** A case that this connector is not put to, and why. */
export class LeftOut extends Error {}

/** What is declared and not proved, and for want of which of the cases that it was put to. */
export function unproved(side: ConnectorSide, declared: readonly string[], numbers: Iterable<CaseNumber>): string[] {
  const run = new Set(numbers);
  return declared.flatMap((capability) => {
    const proofs = PROOFS[side][capability];
    if (proofs === undefined) return [`${capability}: no case proves it`];
    const missing = proofs.filter((number) => !run.has(number));
    return missing.length === 0 ? [] : [`${capability}: case ${missing.join(", ")} is not run`];
  });
}

/** Makes the suite's cases tests. */
export function registerSuite(title: string, { side, cases, declared }: ConnectorSuite): void {
  describe(title, () => {
    const put = new Set(cases.map(({ number }) => number));
    for (const { number, statement, run } of cases)
      test(`case ${number}, ${CONNECTOR_CASES[number]}: ${statement}`, async ({ skip }) => {
        try {
          await run();
        } catch (error) {
          if (!(error instanceof LeftOut)) throw error;
          put.delete(number);
          skip(error.message);
        }
      });
    test(`case 25, ${CONNECTOR_CASES[25]}`, async () => {
      expect(unproved(side, await declared(), put)).toEqual([]);
    });
  });
}

/** @throws LeftOut */
export function leaveOut(why: string): never {
  throw new LeftOut(why);
}

/** What a case opened, to be closed after it. */
export class Scope {
  readonly #closing: (() => Promise<void>)[] = [];

  /** Last opened, first closed. */
  onClose(close: () => Promise<void>): void {
    this.#closing.push(close);
  }

  async close(): Promise<void> {
    for (const close of this.#closing.splice(0).reverse()) await close();
  }
}

export function caseOf(number: CaseNumber, statement: string, body: (scope: Scope) => Promise<void>): ConnectorCase {
  const run = async (): Promise<void> => {
    const scope = new Scope();
    try {
      await body(scope);
    } finally {
      await scope.close();
    }
  };
  return { number, statement, run };
}

/** Texts that formats and protocols have stumbled over. */
export const ODD_TEXTS: readonly string[] = [
  "árvíztűrő tükörfúrógép",
  "😀 \u2028 \ufeff",
  'a "quoted", comma; semicolon',
  "line\nbreak\rand\ttab",
  " spaces around ",
  "0x12 is no number",
  "\\u0041 \\n {{y}} $x",
];
/** Of two bytes each: less than what lines and brokers take by default. */
export const LARGE_CHARS = 450_000;
