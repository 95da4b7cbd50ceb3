/**
 * The state of a calculator as the log keeps it: of a map only the fields that changed, of anything else all of it. A patch is
 * `{ all: state }`, or `{ set: fields, drop: names }`.
 */
import { packState, type StateEvent } from "@millrace/engine";

type Fields = { readonly [key: string]: StateEvent };

/** `null` when nothing changed. */
export function patchBetween(before: StateEvent, after: StateEvent): StateEvent {
  if (!isFields(before) || !isFields(after)) return isSame(before, after) ? null : { all: after };
  const set = Object.entries(after).filter(([k, v]) => !Object.hasOwn(before, k) || !isSame(before[k] ?? null, v));
  const drop = Object.keys(before).filter((k) => !Object.hasOwn(after, k));
  if (set.length === 0 && drop.length === 0) return null;
  return set.length === Object.keys(after).length ? { all: after } : { set: Object.fromEntries(set), drop };
}

export function patched(state: StateEvent, patch: StateEvent): StateEvent {
  if (!isFields(patch)) return state;
  if (Object.hasOwn(patch, "all")) return patch.all ?? null;
  const fields = { ...(isFields(state) ? state : {}), ...(patch.set as Fields) };
  for (const name of patch.drop as readonly string[]) delete fields[name];
  return fields;
}

function isFields(value: StateEvent): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}

function isSame(a: StateEvent, b: StateEvent): boolean {
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return a === b;
  return Buffer.compare(packState(a), packState(b)) === 0;
}
