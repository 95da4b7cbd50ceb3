/**
 * Legal holds: what must not be pruned, whatever its age. Placing and releasing one is an event of the log itself, with who and
 * why; the stream `$retention` also tells what was pruned.
 */
import type { Env, EventLog, Mutation, RecordedEvent } from "@millrace/engine";
import { type EmbeddedLog, embeddedLogError } from "@millrace/streams/embedded";
import { opsError } from "../errors.ts";
import { appendSystemEvent, systemEvents, systemPayload } from "../system-stream.ts";

export const RETENTION_STREAM = "$retention";
const PLACED = "LegalHoldPlaced";
const RELEASED = "LegalHoldReleased";
const PRUNED = "LogPruned";

/** Events that meet all of what is given; a hold without any condition holds everything. */
export interface HeldEvents {
  readonly streamPrefix?: string;
  readonly tenant?: string;
  /** Times in ms since 1970; `toMs` is exclusive. */
  readonly fromMs?: number;
  readonly toMs?: number;
}

export interface LegalHold extends HeldEvents {
  readonly name: string;
  readonly reason: string;
  readonly by: string;
  readonly placedMs: number;
  /** Of the event that placed it. */
  readonly position: number;
}

/** Holds that stand, oldest first. */
export async function legalHolds(log: EventLog): Promise<readonly LegalHold[]> {
  const holds = new Map<string, LegalHold>();
  for (const event of await systemEvents(log, RETENTION_STREAM)) {
    const payload = systemPayload<HeldEvents & { readonly name: string }>(event);
    const { position, timeMs, context } = event;
    if (event.type === PLACED)
      holds.set(payload.name, { ...payload, by: context.principal, placedMs: timeMs, position });
    if (event.type === RELEASED) holds.delete(payload.name);
  }
  return [...holds.values()];
}

/** @throws LOG-HOLD there is one of this name */
export async function placeHold(
  log: EventLog,
  env: Env,
  name: string,
  held: HeldEvents,
  by: Mutation,
): Promise<LegalHold> {
  if (await find(log, name)) throw opsError("LOG-HOLD", `there is a legal hold ${name} already`);
  await append(log, env, PLACED, { name, ...held }, by);
  const placed = await find(log, name);
  if (placed === undefined) throw opsError("LOG-HOLD", `the legal hold ${name} was released meanwhile`);
  return placed;
}

/** @throws LOG-HOLD there is none of this name */
export async function releaseHold(log: EventLog, env: Env, name: string, by: Mutation): Promise<LegalHold> {
  const hold = await find(log, name);
  if (hold === undefined) throw opsError("LOG-HOLD", `there is no legal hold ${name}`);
  await append(log, env, RELEASED, { name }, by);
  return hold;
}

/**
 * Tells in the log what was pruned last, with who and why, if it does not say so yet: also after a crash between the two, when the log
 * is opened again. What it told of the carried streams is held against what is there.
 *
 * @throws LOG-MANIFEST the carried streams are not those that the log tells of
 */
export async function tellPruned(log: EmbeddedLog, env: Env): Promise<void> {
  const pruned = log.retention.lastPruned;
  if (pruned === undefined) return;
  const { from, to, by } = pruned;
  const carried = log.retention.carriedHash;
  for (const event of await systemEvents(log, RETENTION_STREAM)) {
    if (event.type !== PRUNED) continue;
    const told = systemPayload<{ readonly to: number; readonly carried?: string }>(event);
    if (told.to !== to) continue;
    if (told.carried === carried) return;
    throw embeddedLogError("LOG-MANIFEST", "the carried streams are not those that the log tells of", {
      place: { position: event.position, stream: RETENTION_STREAM },
    });
  }
  // The hash of what was carried is in the log, and so in its signed tree.
  await append(log, env, PRUNED, { from, to, ...(carried === undefined ? {} : { carried }) }, by);
}

/** Of the stream {@link RETENTION_STREAM}: under which name an event takes the place of an earlier one. */
export function retentionEventKey(event: RecordedEvent): string {
  const { type, revision } = event;
  if (type === PRUNED) return type;
  const isHold = type === PLACED || type === RELEASED;
  return isHold ? `hold ${systemPayload<{ readonly name: string }>(event).name}` : String(revision);
}

export function isHeld({ streamPrefix, tenant, fromMs, toMs }: HeldEvents, event: RecordedEvent): boolean {
  if (streamPrefix !== undefined && !event.stream.startsWith(streamPrefix)) return false;
  if (tenant !== undefined && event.context.tenant !== tenant) return false;
  return event.timeMs >= (fromMs ?? Number.NEGATIVE_INFINITY) && event.timeMs < (toMs ?? Number.POSITIVE_INFINITY);
}

async function find(log: EventLog, name: string): Promise<LegalHold | undefined> {
  return (await legalHolds(log)).find((hold) => hold.name === name);
}

async function append(log: EventLog, env: Env, type: string, payload: object, by: Mutation): Promise<void> {
  await appendSystemEvent(log, env, { stream: RETENTION_STREAM, type, payload }, by);
}
