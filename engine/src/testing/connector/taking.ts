/** Reads a source as a graph would: to its end, from a position, over failures that pass. */
import { expect } from "vitest";
import { reportOf } from "../../errors.ts";
import type { Json } from "../../frame/json.ts";
import type { RejectedInput, SourceConnector, SourceMark, SourceReader } from "../../source/source-connector.ts";
import { systemEnv } from "../../time/system-env.ts";

export interface Taken {
  readonly messages: readonly (readonly [pos: number, row: Json])[];
  readonly rejected: readonly RejectedInput[];
  readonly sizes: readonly number[];
  /** Those that were given, and those that came. */
  readonly marks: readonly SourceMark[];
  readonly identity: string | undefined;
}

export interface TakingOptions {
  /** So many turns of the event loop are let pass between reads. Default 0. */
  readonly pauseTurns?: number;
  /** Called after each batch with their number. With it, failures that pass are met by opening again. */
  between?(batches: number): unknown;
}

const { turns } = systemEnv();
/** Attempts to open again, each of which the connection's own back-off precedes. */
const ATTEMPTS_MAX = 200;
/** A source that has not ended after so many reads without anything never will. */
const IDLE_MAX = 1000;

export async function openFirst(
  source: SourceConnector,
  after: number,
  marks: readonly SourceMark[] = [],
  partition?: string,
): Promise<SourceReader> {
  const [first] = await source.partitions();
  return source.open(partition ?? (first as string), after, marks);
}

/** What the log has of marks for who reads on behind `after`. */
export function marksBehind(marks: readonly SourceMark[], after: number): readonly SourceMark[] {
  return marks.slice(
    Math.max(
      0,
      marks.findLastIndex(({ from }) => from <= after + 1),
    ),
  );
}

/** Everything behind `after`, until the source ends or is idle with nothing more to come. */
export async function takeAll(
  source: SourceConnector,
  after: number,
  messagesMax: number,
  logged: readonly SourceMark[] = [],
  partition?: string,
  { pauseTurns = 0, between }: TakingOptions = {},
): Promise<Taken> {
  const marks = [...marksBehind(logged, after)];
  let reader = await openFirst(source, after, marks, partition);
  const messages: [number, Json][] = [];
  const rejected: RejectedInput[] = [];
  const sizes: number[] = [];
  let through = after;
  let attempts = 0;
  let idle = 0;
  const read = async (): ReturnType<SourceReader["read"]> => {
    try {
      return await reader.read(messagesMax);
    } catch (error) {
      if (between === undefined || reportOf(error).kind !== "transient" || ++attempts > ATTEMPTS_MAX) throw error;
      await reader.close();
      reader = await openFirst(source, through, marksBehind(marks, through), partition);
      return "idle";
    }
  };
  try {
    for (;;) {
      const failuresBefore = attempts;
      const batch = await read();
      if (batch === "end" || (batch === "idle" && !source.capabilities.bounded && attempts === failuresBefore))
        return { messages, rejected, sizes, marks, identity: reader.identity };
      if (batch === "idle") {
        expect(++idle).toBeLessThan(IDLE_MAX);
        continue;
      }
      idle = 0;
      sizes.push(batch.batch.n);
      for (const mark of batch.marks ?? []) {
        expect(mark.from).toBeGreaterThan(marks.at(-1)?.from ?? -1);
        expect(mark.from).toBeLessThanOrEqual(batch.through);
        marks.push(mark);
      }
      for (let i = 0; i < batch.batch.n; i++) messages.push([batch.positions.pos(i), batch.batch.row(i)]);
      rejected.push(...batch.rejected);
      const last = Math.max(
        batch.batch.n === 0 ? -1 : batch.positions.pos(batch.batch.n - 1),
        batch.rejected.at(-1)?.pos ?? -1,
      );
      expect(batch.through).toBeGreaterThanOrEqual(Math.max(last, through));
      through = batch.through;
      between?.(sizes.length);
      for (let turn = 0; turn < pauseTurns; turn++) await new Promise<void>((turned) => turns.yieldToIo(turned));
    }
  } finally {
    await reader.close();
  }
}
