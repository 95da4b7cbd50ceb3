/**
 * Event-time windows per key, which tumble (each begins where the one before ends) or hop (they overlap). A window is emitted once, when the node's watermark reaches its end plus the lateness:
 * until then late messages still count. Output rows are `{<by fields>, window_start, window_end, <computed fields>}`, by
 * window start, then by the key that came first, however frames were cut. What is more than one step should carry goes out in
 * parts, each a step of its own; late are messages from the first part on.
 *
 * Logged are the changed groups of a step, with absolute values; that ended windows go follows from the watermark. How many
 * groups are left for later steps, or where the first of them is, is logged where there are any: `{due}`.
 */
import {
  type CommittedBehavior,
  type CommittedContext,
  type Draft,
  type GroupKernels,
  InvariantViolation,
  invariant,
  type JsonObject,
  type StateEvent,
} from "@millrace/engine";
import type { Expression } from "../expression.ts";
import { type Aggregate, planAggregates } from "./aggregate.ts";
import { HoppingWindows } from "./hopping-windows.ts";
import { OpenWindows } from "./open-windows.ts";
import { scriptGroups } from "./script-groups.ts";
import { firstStartAfter } from "./span.ts";
import { decodeGroups, encodeGroups } from "./state-event.ts";
import { windowInput } from "./window-input.ts";
import { WindowRows } from "./window-rows.ts";
import type { WindowState } from "./window-state.ts";

export interface WindowOptions {
  /** Length of a window in ms, > 0. Windows are aligned to 1970-01-01T00:00Z. */
  readonly sizeMs: number;
  /**
   * From the start of one window to that of the next, in whole ms; divides `sizeMs`. Default `sizeMs`: windows do not overlap. What comes
   * after the first of its windows has been emitted is late; so a message counts in all of its windows or in none.
   */
  readonly everyMs?: number | undefined;
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
  /** Output bytes of a step, roughly: what is more waits for the next. Default 1 MiB. */
  readonly partBytes?: number;
  /** What keeps the groups; by default TypeScript. */
  readonly kernels?: GroupKernels | undefined;
}

const PART_BYTES = 1024 * 1024;
/** Of a row, beside its key: window start and end, and each computed field. */
const NUMBER_BYTES = 9;
/** What a date can say; beyond it, adding a length to a time may change nothing. */
const DATE_MS_MAX = 8.64e15;

/** `sum`, `min`, `max` and `avg` of nothing but nulls: 0, null, null and null. */
export function window(options: WindowOptions): CommittedBehavior {
  const { sizeMs, everyMs = sizeMs, latenessMs = 0, partBytes = PART_BYTES } = options;
  const hops = everyMs !== sizeMs;
  invariant(!hops || isWhole(sizeMs, everyMs), "windows are a whole number of hops long, and hops of ms");
  const plan = planAggregates(options.compute);
  const timeMsMax = hops ? DATE_MS_MAX : Number.MAX_VALUE;
  const inputOptions = { ...plan, everyMs, timeMsMax, latenessMs, time: options.time, by: [...options.by.values()] };
  const rows = new WindowRows([...options.by.keys()], plan.fields);
  const keyFields = options.by.size;
  const { kernels = scriptGroups } = options;
  const noWindows = (): WindowState =>
    hops
      ? new HoppingWindows({ sizeMs, everyMs }, keyFields, plan.cells, kernels)
      : new OpenWindows(sizeMs, keyFields, plan.cells, kernels);
  let windows = noWindows();
  let watermark = Number.NEGATIVE_INFINITY;
  let sealedWatermark = watermark;

  let context: CommittedContext | undefined;
  let isAsked = false;
  /** What the step being folded left due. */
  let left: StateEvent | undefined;

  const raise = (to: number): void => {
    watermark = Math.max(watermark, to);
    windows.end(watermark - latenessMs);
  };
  const emitPart = (draft: Draft): void => {
    if (!windows.isDue) return;
    const rowBytes = windows.keyBytesMax + NUMBER_BYTES * (2 + plan.fields.length);
    draft.emit("out", rows.of(windows.take(Math.max(1, Math.floor(partBytes / rowBytes))), sizeMs));
    if (windows.wasDue || windows.isDue) draft.change({ due: windows.left });
  };
  const goOn = (): void => {
    if (isAsked || !windows.isDue || context === undefined) return;
    isAsked = true;
    const run = (draft: Draft): void => {
      isAsked = false;
      emitPart(draft);
    };
    // A node that ends meanwhile finds the rest in the log when it starts again.
    context.request(run).catch(() => undefined);
  };
  return {
    kind: "committed",
    ports: options.late === "port" ? ["out", "late"] : ["out"],
    open(opened) {
      context = opened;
      goOn();
    },
    take(draft, slice) {
      const input = windowInput(slice, watermark, inputOptions);
      if (input.failures.length > 0) draft.reject(slice, input.failures);
      if (input.late.length > 0 && options.late === "port") draft.emit("late", slice.batch.select(input.late));
      else if (input.late.length > 0) draft.drop(input.late.length, "late");
      if (input.n > 0) windows.accumulate(input);
    },
    advance(draft: Draft, to: number) {
      raise(to);
      emitPart(draft);
    },
    // Rows are not older than the first window that is due or open, or may yet be opened.
    hold: () => windows.firstDue ?? firstStartAfter(watermark - latenessMs - sizeMs, everyMs),
    finish(draft) {
      const changed = windows.changed();
      if (changed !== undefined) draft.change(encodeGroups(changed, keyFields));
    },
    seal() {
      windows.seal();
      sealedWatermark = watermark;
      goOn();
    },
    discard() {
      windows.discard();
      watermark = sealedWatermark;
    },
    fold(event) {
      const due = dueOf(event);
      if (due === undefined) windows.write(decodeGroups(event));
      else left = due;
    },
    foldWatermark(to) {
      raise(to);
      if (left !== undefined || !windows.wasDue) windows.leave(left);
      left = undefined;
      windows.seal();
      sealedWatermark = watermark;
    },
    snapshot() {
      const { groups, left: due } = windows.snapshot();
      const state = { watermark, groups: encodeGroups(groups, keyFields) };
      return due === undefined ? state : { ...state, due };
    },
    restore(snapshot) {
      windows = noWindows();
      const { watermark: at, groups, due } = snapshotOf(snapshot);
      sealedWatermark = watermark = at;
      windows.restore({ groups: decodeGroups(groups), left: due }, watermark - latenessMs);
      windows.seal();
    },
    describe: () => ({ groups: kernels.name }),
    // Groups as they would be emitted now.
    inspect: () => ({
      key: [...options.by.keys(), "window_start"],
      rows: rows.of(windows.all(), sizeMs).rows() as readonly JsonObject[],
    }),
  };
}

function isWhole(sizeMs: number, everyMs: number): boolean {
  return Number.isSafeInteger(sizeMs) && Number.isSafeInteger(everyMs) && everyMs > 0 && sizeMs % everyMs === 0;
}

function dueOf(event: StateEvent): StateEvent | undefined {
  return (event as { due?: StateEvent } | null)?.due;
}

function snapshotOf(value: StateEvent): { watermark: number; groups: StateEvent; due: StateEvent | undefined } {
  const snapshot = value as { watermark?: StateEvent; groups?: StateEvent; due?: StateEvent } | null;
  if (typeof snapshot?.watermark !== "number" || snapshot.groups === undefined)
    throw new InvariantViolation("not a snapshot of a window");
  return { watermark: snapshot.watermark, groups: snapshot.groups, due: snapshot.due };
}
