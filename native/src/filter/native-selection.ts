/** Picks the messages that pass a condition by the addon (native/crates/selection). */
import type { SelectionKernel } from "@millrace/engine";
import { COMPARISONS } from "@millrace/engine/worker";
import { loadAddon } from "../addon.ts";

/** `undefined` without the addon. */
export function nativeSelection(): SelectionKernel | undefined {
  const addon = loadAddon();
  if (addon === undefined) return undefined;
  return {
    comparing: (op, cells, limit, n, into, at) =>
      addon.selectComparing(COMPARISONS.indexOf(op), cells, limit, n, into, at),
    ofEntries: (entries, codes, n, into, at) => addon.selectEntries(entries, codes, n, into, at),
    condition: ({ steps, cells, limits, entries }, n, into, at) =>
      addon.selectCondition(steps, cells, limits, entries, n, into, at),
  };
}
