/**
 * A source that a seed wrote: partitions of messages at fixed positions, each available from a moment of virtual time. Reading
 * it again gives the same messages, batched differently. What is missing at its moment makes the reader say `"idle"`.
 */
import { engineError, InvariantViolation } from "../../errors.ts";
import { RowBatch } from "../../frame/batch.ts";
import type { Json } from "../../frame/json.ts";
import { Positions } from "../../frame/positions.ts";
import type {
  RejectedInput,
  SourceBatch,
  SourceCapabilities,
  SourceConnector,
  SourceReader,
} from "../../source/source-connector.ts";
import { type Env, sleep } from "../../time/clock.ts";
import type { SeededRandom } from "../seeded-random.ts";

export interface SourceMessage {
  /** Ascending within a partition; holes are allowed. */
  readonly pos: number;
  readonly row: Json;
  /** Virtual ms from the start at which it can be read. */
  readonly availableMs: number;
  /** The input is no message: it is rejected instead. */
  readonly rejected?: boolean;
}

export interface SourceFaults {
  /** Probability that a read or an open fails. */
  failing: number;
  /** The next read throws as a bug would. */
  crash: boolean;
}

export type SourcePartitions = ReadonlyMap<string, readonly SourceMessage[]>;

const POLL_MS = 5000;
const TAKE_MAX = 12;

/** A connector over `partitions` for one process. */
export function simulatedSource(
  partitions: SourcePartitions,
  env: Env,
  random: SeededRandom,
  faults: SourceFaults,
): SourceConnector {
  const capabilities: SourceCapabilities = { replay: true, ordered: true, bounded: true };
  return {
    capabilities,
    partitions: async () => [...partitions.keys()],
    async open(partition, after) {
      await sleep(env, 1 + random.below(5));
      if (random.chance(faults.failing)) throw engineError("SOURCE-FAILED", "simulated failure to open");
      return new Reader(partitions.get(partition) ?? [], after, env, random, faults);
    },
  };
}

class Reader implements SourceReader {
  readonly #messages: readonly SourceMessage[];
  readonly #env: Env;
  readonly #random: SeededRandom;
  readonly #faults: SourceFaults;
  readonly #closing = new AbortController();
  #next: number;
  #hasLingered = false;

  constructor(messages: readonly SourceMessage[], after: number, env: Env, random: SeededRandom, faults: SourceFaults) {
    this.#messages = messages;
    this.#env = env;
    this.#random = random;
    this.#faults = faults;
    const first = messages.findIndex((m) => m.pos > after);
    this.#next = first < 0 ? messages.length : first;
  }

  async read(messagesMax: number): Promise<SourceBatch | "idle" | "end"> {
    await this.#pause(0.2 + this.#random.unit());
    if (this.#faults.crash) {
      this.#faults.crash = false;
      throw new InvariantViolation("simulated crash of a source");
    }
    if (this.#random.chance(this.#faults.failing)) throw engineError("SOURCE-FAILED", "simulated failure to read");
    const next = this.#messages[this.#next];
    if (next === undefined) return this.#atEnd();
    const waitMs = next.availableMs - this.#env.clock.monotonic();
    if (waitMs > 0) await this.#pause(Math.min(waitMs, POLL_MS));
    if (this.#closing.signal.aborted || waitMs > POLL_MS) return "idle";
    return this.#take(Math.min(messagesMax, 1 + this.#random.below(TAKE_MAX)));
  }

  async close(): Promise<void> {
    this.#closing.abort();
  }

  /** That nothing will follow may be known only some time after the last message. */
  async #atEnd(): Promise<"idle" | "end"> {
    if (this.#hasLingered || this.#random.chance(0.5)) return "end";
    this.#hasLingered = true;
    await this.#pause(POLL_MS * this.#random.unit());
    return "idle";
  }

  #take(most: number): SourceBatch {
    const now = this.#env.clock.monotonic();
    const taken: SourceMessage[] = [];
    const rejected: RejectedInput[] = [];
    let last = -1;
    while (taken.length + rejected.length < most) {
      const message = this.#messages[this.#next];
      if (message === undefined || message.availableMs > now) break;
      last = message.pos;
      this.#next++;
      const error = engineError("MSG-DECODE", `position ${message.pos} does not decode`);
      if (message.rejected === true) rejected.push({ pos: message.pos, error, input: message.row });
      else taken.push(message);
    }
    const through = this.#throughAfter(last);
    const positions = Positions.of(Float64Array.from(taken, (m) => m.pos));
    return { batch: new RowBatch(taken.map((m) => m.row)), positions, through, rejected };
  }

  /** A reader may know that the positions after its last message are holes. */
  #throughAfter(last: number): number {
    const next = this.#messages[this.#next];
    return next === undefined || this.#random.chance(0.5) ? last : last + this.#random.below(next.pos - last);
  }

  async #pause(ms: number): Promise<void> {
    await sleep(this.#env, ms, this.#closing.signal).catch(() => undefined);
  }
}
