/** Input for scenarios: what a seed writes into sources. */
import type { SeededRandom } from "../seeded-random.ts";
import type { Row } from "./pure-behaviors.ts";
import type { SourceMessage, SourcePartitions } from "./simulated-source.ts";

export const EVENT_EPOCH_MS = Date.UTC(2026, 0, 1);

export interface WorkloadOptions {
  /** Messages per partition; default 40. */
  readonly messages?: number;
  readonly partitions?: readonly string[];
  /** Virtual time over which messages arrive; default 4 min. */
  readonly durationMs?: number;
  /** Holes between positions, as compaction leaves them; default false. */
  readonly sparse?: boolean;
  /** Partitions that have no messages at all. */
  readonly empty?: readonly string[];
  readonly keys?: number;
  /** Highest value, `0…valueMax`. Default 9. */
  readonly valueMax?: number;
  /** Disorder of event times within the bound; and probability of a message beyond it. */
  readonly disorderMs?: number;
  readonly late?: number;
  /** Probability that a position is no message. */
  readonly rejected?: number;
  /** Added to ids, so that they are unique over sources. */
  readonly firstId?: number;
}

/** Event time that passes per virtual ms of arrival. */
const EVENT_SPEED = 10;
const LATE_BY_MS = 400_000;

export function writePartitions(random: SeededRandom, options: WorkloadOptions = {}): SourcePartitions {
  const { partitions = ["p0"], empty = [], firstId = 0 } = options;
  let id = firstId;
  return new Map(
    partitions.map((name) => {
      const messages = empty.includes(name) ? [] : writeMessages(random.fork(name), id, options);
      id += 100_000;
      return [name, messages];
    }),
  );
}

function writeMessages(random: SeededRandom, firstId: number, options: WorkloadOptions): SourceMessage[] {
  const { messages = 40, durationMs = 240_000, sparse = false, keys = 4, valueMax = 9 } = options;
  const { disorderMs = 0, late = 0, rejected = 0 } = options;
  const atMs = arrivals(random, messages, durationMs);
  let pos = sparse ? random.below(5) : 0;
  return atMs.map((availableMs, i) => {
    const isLate = random.chance(late);
    const behindMs = isLate ? LATE_BY_MS : random.below(disorderMs + 1);
    const row: Row = {
      id: firstId + i,
      key: `k${random.below(keys)}`,
      time: EVENT_EPOCH_MS + Math.floor(availableMs * EVENT_SPEED) - behindMs,
      value: random.between(0, valueMax),
    };
    const message = { pos, row, availableMs, rejected: random.chance(rejected) };
    pos += sparse ? 1 + random.below(7) : 1;
    return message;
  });
}

/** Bursts with silence between them. */
function arrivals(random: SeededRandom, count: number, durationMs: number): number[] {
  const bursts = Array.from({ length: 1 + Math.ceil(count / 12) }, () => random.unit() * durationMs);
  return Array.from({ length: count }, () => random.pick(bursts) + random.below(400)).sort((a, b) => a - b);
}

/** Rows of all partitions that are messages, in position order within each. */
export function allRows(partitions: SourcePartitions): Row[] {
  const rows: Row[] = [];
  for (const messages of partitions.values())
    for (const m of messages) if (m.rejected !== true) rows.push(m.row as Row);
  return rows;
}
