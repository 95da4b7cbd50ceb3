/** A source that cannot be read again, in simulated graphs: what comes is appended, with its event time, before anybody sees it. */
import type { CommittedBehavior, Draft } from "../../behavior/committed-behavior.ts";
import { RowBatch } from "../../frame/batch.ts";
import { Positions } from "../../frame/positions.ts";
import { type EventTimeOptions, WatermarkGenerator } from "../../source/watermark-generator.ts";
import { type Env, sleep } from "../../time/clock.ts";
import type { SourceMessage } from "./simulated-source.ts";

const POLL_MS = 1000;
const TAKE_MAX = 4;

export interface TakenRows extends CommittedBehavior {
  /** Takes what has come, or rests. */
  step(draft: Draft): void;
}

/** Takes `messages` in their order, each once, behind a cursor in its state, and comes to an end behind the last. */
export function takenRows(messages: readonly SourceMessage[], eventTime: EventTimeOptions, env: Env): TakenRows {
  const generator = new WatermarkGenerator(eventTime, Number.NEGATIVE_INFINITY);
  let sealed = { taken: 0, watermark: generator.watermark };
  let taken = 0;
  const come = (): number => {
    const now = env.clock.monotonic();
    const next = messages.slice(taken, taken + TAKE_MAX);
    return next.filter(({ availableMs }) => availableMs <= now).length;
  };
  const step = (draft: Draft): void => {
    const n = draft.record(come);
    const batch = new RowBatch(messages.slice(taken, taken + n).map(({ row }) => row));
    const { late } = generator.pass(generator.times(batch), Positions.dense(0, n));
    draft.emit(
      "out",
      batch,
      late.map(({ pos, watermark }) => ({ index: pos, watermark })),
    );
    taken += n;
    draft.change(taken);
    const isLast = taken === messages.length;
    draft.advanceOutput(isLast ? Number.POSITIVE_INFINITY : generator.watermark);
    if (n === 0) draft.restOutput();
  };
  return {
    kind: "committed",
    ports: ["out"],
    step,
    hasEnded: () => sealed.taken === messages.length,
    async open({ request, signal, output }) {
      sealed = { ...sealed, watermark: output.watermark };
      generator.watermark = output.watermark;
      void (async () => {
        while (!signal.aborted && sealed.taken < messages.length) {
          await request(step).catch(() => undefined);
          await sleep(env, POLL_MS, signal).catch(() => undefined);
        }
      })();
    },
    take() {},
    seal() {
      sealed = { taken, watermark: generator.watermark };
    },
    discard() {
      taken = sealed.taken;
      generator.watermark = sealed.watermark;
    },
    fold(event) {
      taken = event as number;
    },
    snapshot: () => taken,
    restore(snapshot) {
      taken = snapshot as number;
    },
  };
}
