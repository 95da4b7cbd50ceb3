/**
 * What every `Feed` must do: one that waits for receipts or is lossy, and one that has a cursor. A connector's test calls
 * {@link feedContract} or {@link cursorFeedContract} and adds only what is peculiar to it.
 */
import type { Feed } from "../source/feed.ts";
import { type ConnectorSuite, leaveOut, registerSuite, type Scope } from "./connector/cases.ts";
import { type CursorFeedCaseOptions, cursorCases } from "./connector/cursor-feed-cases.ts";
import {
  declaredOf,
  type FeedCaseOptions,
  holdingCases,
  listeningCases,
  lossyCases,
  waitingCases,
} from "./connector/feed-cases.ts";
import type { CursorFeedHarness, FeedHarness } from "./connector/feed-harness.ts";

export interface FeedContractOptions extends FeedCaseOptions {
  /** It waits for no receipts: what it cannot take is lost. Default false. */
  readonly isLossy?: boolean;
  /** It holds its sender back while so many are unsettled, and nobody keeps what was sent before it listened, or over a connection that broke. */
  readonly holdsBackAt?: number;
  /** Cases that another suite puts this connector to, and which. */
  readonly elsewhere?: { readonly cases: readonly number[]; readonly where: string };
}

/** `make` makes a fresh, empty queue that somebody may send to before and after the first feed. */
export function feedContract(name: string, make: () => Promise<FeedHarness>, options: FeedContractOptions = {}): void {
  const waits = options.holdsBackAt === undefined ? "a feed that waits" : "a feed that holds its sender back";
  const kind = options.isLossy === true ? "a feed that does not wait" : waits;
  registerSuite(`${name} is ${kind}`, feedSuite(make, options));
}

/** `make` makes a fresh, empty queue. */
export function cursorFeedContract(
  name: string,
  make: () => Promise<CursorFeedHarness>,
  options: CursorFeedCaseOptions = {},
): void {
  registerSuite(`${name} is a feed with a cursor`, cursorFeedSuite(make, options));
}

/** The cases, for whoever runs them otherwise than as tests. */
export function feedSuite(
  make: () => Promise<FeedHarness>,
  { isLossy = false, holdsBackAt, elsewhere, ...options }: FeedContractOptions = {},
): ConnectorSuite {
  const queue = opened(make);
  const all = [...listeningCases(queue, options)];
  if (isLossy || holdsBackAt !== undefined) all.push(...lossyCases(queue));
  else all.push(...waitingCases(queue, options));
  if (holdsBackAt !== undefined) all.push(...holdingCases(queue, holdsBackAt));
  const cases = all.map((one) =>
    elsewhere?.cases.includes(one.number) === true ? { ...one, run: async () => leaveOut(elsewhere.where) } : one,
  );
  return { side: "feed", cases, declared: () => declared(make, (harness) => harness.connect(1)) };
}

/** The cases, for whoever runs them otherwise than as tests. */
export function cursorFeedSuite(
  make: () => Promise<CursorFeedHarness>,
  options: CursorFeedCaseOptions = {},
): ConnectorSuite {
  const cases = cursorCases(opened(make), options);
  return { side: "feed", cases, declared: () => declared(make, (harness) => harness.connect()) };
}

const opened =
  <H extends { close(): Promise<void> }>(make: () => Promise<H>) =>
  async (scope: Scope): Promise<H> => {
    const harness = await make();
    scope.onClose(() => harness.close());
    return harness;
  };

async function declared<H extends { close(): Promise<void> }>(
  make: () => Promise<H>,
  connect: (harness: H) => Feed,
): Promise<readonly string[]> {
  const harness = await make();
  const said = declaredOf(connect(harness));
  await harness.close();
  return said;
}
