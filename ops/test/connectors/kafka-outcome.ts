/** What a graph that copies one topic to another made of it: counted from the topics themselves. */
import { expect, vi } from "vitest";
import type { KafkaTopics } from "./kafka-topics.ts";
import { numbers, WAIT } from "./running-graph.ts";

export interface CopiedTopics {
  /** Each row is `{n}`, in any number of copies: what came twice is to go twice. */
  readonly input: string;
  readonly partitions: number;
  /** Of one partition. */
  readonly output: string;
}

/** Rows: that are missing in the output, are there too often, or stand in another place than in their partition of the input. */
export interface KafkaOutcome {
  readonly lost: number;
  readonly twice: number;
  readonly disordered: number;
}

export interface Counted extends KafkaOutcome {
  /** Rows in the output. */
  readonly n: number;
}

export const UNHARMED: KafkaOutcome = { lost: 0, twice: 0, disordered: 0 };

/** Waits until the graph stands still, and compares. `passed`: how many rows its sink has taken. */
export async function kafkaOutcome(
  topics: KafkaTopics,
  { input, partitions, output }: CopiedTopics,
  passed: () => number,
): Promise<Counted> {
  const wanted = (await topics.read(input, false)).map(({ partition, value }) => ({ partition, n: numberIn(value) }));
  await vi.waitFor(async () => expect(await topics.end(output)).toBeGreaterThanOrEqual(wanted.length), WAIT);
  await vi.waitFor(() => expect(passed()).toBeGreaterThanOrEqual(wanted.length), WAIT);
  const seen = (await topics.read(output)).map(({ value }) => numberIn(value));
  const [got, had] = [counts(seen), counts(wanted.map(({ n }) => n))];
  const lost = [...had.keys()].filter((n) => (got.get(n) ?? 0) < (had.get(n) ?? 0)).length;
  const twice = [...got.keys()].filter((n) => (got.get(n) ?? 0) > (had.get(n) ?? 0)).length;
  const partitionOf = new Map(wanted.map(({ n, partition }) => [n, partition]));
  const disordered = numbers(0, partitions)
    .map((p) => {
      const rows = seen.filter((n) => partitionOf.get(n) === p);
      return wanted.filter(({ partition }) => partition === p).filter(({ n }, i) => n !== rows[i]).length;
    })
    .reduce((sum, one) => sum + one);
  return { n: seen.length, lost, twice, disordered };
}

export function tellOutcome(version: string, what: string, { n, lost, twice, disordered }: Counted): void {
  console.log(`Kafka ${version}: ${n} messages, ${what}: ${lost} lost, ${twice} twice, ${disordered} out of order`);
}

const numberIn = (value: string | null): number => (JSON.parse(value ?? "{}") as { readonly n: number }).n;

function counts(all: readonly number[]): ReadonlyMap<number, number> {
  const found = new Map<number, number>();
  for (const n of all) found.set(n, (found.get(n) ?? 0) + 1);
  return found;
}
