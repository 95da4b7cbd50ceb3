/**
 * Tumbling event-time windows per key. A window is emitted once, when the node's watermark reaches its end plus the lateness:
 * until then late messages still count. Output rows are `{<by fields>, window_start, window_end, <computed fields>}`, by
 * window start, then by the key that came first, however frames were cut.
 *
 * Logged are the changed groups of a step, with absolute values; that closed windows go follows from the watermark.
 */
import {
  type CommittedBehavior,
  type Draft,
  InvariantViolation,
  type JsonObject,
  type StateEvent,
} from "@millrace/engine";
import type { Expression } from "../expression.ts";
import { type Aggregate, planAggregates } from "./aggregate.ts";
import { OpenWindows } from "./open-windows.ts";
import { encodeGroups, foldGroups } from "./state-event.ts";
import { windowInput, windowStart } from "./window-input.ts";
import { WindowRows } from "./window-rows.ts";

export interface WindowOptions {
  /** Length of a window in ms, > 0. Windows are aligned to 1970-01-01T00:00Z. */
  readonly sizeMs: number;
  /** Event time: ISO 8601 text, or ms since 1970. A message without one is rejected (`WINDOW-TIME`). */
  readonly time: Expression;
  /** Fields that make the key, by output name. Empty: one group per window. */
  readonly by: ReadonlyMap<string, Expression>;
  /** Computed fields by name. A value that is neither number nor null is rejected (`WINDOW-VALUE`). */
  readonly compute: ReadonlyMap<string, Aggregate>;
  /** How long a window waits for late messages after its end, in ms of event time. Default 0. */
  readonly latenessMs?: number;
  /** What happens to messages that come later still: counted as dropped, or sent to port `late`. Default drop. */
  readonly late?: "drop" | "port";
}

/** `sum`, `min`, `max` and `avg` of nothing but nulls: 0, null, null and null. */
export function window(options: WindowOptions): CommittedBehavior {
  const { sizeMs, latenessMs = 0 } = options;
  const plan = planAggregates(options.compute);
  const inputOptions = { ...plan, sizeMs, latenessMs, time: options.time, by: [...options.by.values()] };
  const rows = new WindowRows([...options.by.keys()], plan.fields);
  let windows = new OpenWindows(sizeMs, options.by.size, plan.cells);
  let watermark = Number.NEGATIVE_INFINITY;
  let sealedWatermark = watermark;

  const raise = (to: number): void => {
    watermark = Math.max(watermark, to);
  };
  return {
    kind: "committed",
    ports: options.late === "port" ? ["out", "late"] : ["out"],
    take(draft, slice) {
      const input = windowInput(slice, watermark, inputOptions);
      if (input.failures.length > 0) draft.reject(slice, input.failures);
      if (input.late.length > 0 && options.late === "port") draft.emit("late", slice.batch.select(input.late));
      else if (input.late.length > 0) draft.drop(input.late.length, "late");
      if (input.n > 0) windows.accumulate(input, plan.cells);
    },
    advance(draft: Draft, to: number) {
      raise(to);
      const done = windows.close(watermark - latenessMs);
      if (done.length > 0) draft.emit("out", rows.of(windows, done));
    },
    // Rows are not older than the first window that is still open, or may yet be opened.
    hold: () => windowStart(watermark - latenessMs, sizeMs),
    finish(draft) {
      const { changed } = windows;
      if (changed.length > 0) draft.change(encodeGroups(windows, changed));
    },
    seal() {
      windows.seal();
      sealedWatermark = watermark;
    },
    discard() {
      windows.discard();
      watermark = sealedWatermark;
    },
    fold: (event) => foldGroups(windows, event),
    foldWatermark(to) {
      raise(to);
      windows.close(watermark - latenessMs);
      windows.seal();
      sealedWatermark = watermark;
    },
    snapshot: () => ({ watermark, groups: encodeGroups(windows, windows.all) }),
    restore(snapshot) {
      windows = new OpenWindows(sizeMs, options.by.size, plan.cells);
      const { watermark: at, groups } = snapshotOf(snapshot);
      sealedWatermark = watermark = at;
      foldGroups(windows, groups);
    },
    // Open windows as they would be emitted if they closed now.
    inspect: () => ({
      key: [...options.by.keys(), "window_start"],
      rows: rows.of(windows, windows.open).rows() as readonly JsonObject[],
    }),
  };
}

function snapshotOf(value: StateEvent): { watermark: number; groups: StateEvent } {
  const snapshot = value as { watermark?: StateEvent; groups?: StateEvent } | null;
  if (typeof snapshot?.watermark !== "number" || snapshot.groups === undefined)
    throw new InvariantViolation("not a snapshot of a window");
  return { watermark: snapshot.watermark, groups: snapshot.groups };
}
