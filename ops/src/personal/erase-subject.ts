/**
 * Erasing a subject: its key is destroyed, and the log says so. First the log gets the intention, then the key goes, then what sinks
 * had begun to deliver comes to its end, then the log gets the fact; whoever opens the data directory after a crash between them
 * carries the intention out. The events name the subject by the keyed hash of the key file, never in clear.
 */
import {
  type Env,
  type EventLog,
  type Mutation,
  personalError,
  type SubjectKeys,
  type SubjectState,
  sleep,
} from "@millrace/engine";
import { isHeld, type LegalHold, legalHolds } from "../retention/legal-holds.ts";
import { appendSystemEvent, systemEvents, systemPayload } from "../system-stream.ts";

export const ERASURE_STREAM = "$erasure";
const INTENDED = "ErasureIntended";
const ERASED = "SubjectErased";
/** Longer than most sinks wait for their targets. */
const DELIVERY_WAIT_MS = 30_000;
/** Of a key that is gone although nobody is known to have asked for it. */
const FOUND: Mutation = { principal: "system", reason: "found erased when the data was opened" };

export interface Erasure {
  /** Id of the key: what markers of erased values say. */
  readonly key: string;
  /** HMAC-SHA-256 of the subject under the secret of the key file. */
  readonly subjectHash: string;
  /** It had been erased before: nothing was done. */
  readonly repeated: boolean;
  /** Of the event that says so. */
  readonly position: number;
}

interface ErasedKey {
  readonly key: string;
  readonly subjectHash: string;
}

/** What of the past names keys. */
interface ToldErasures {
  /** Intended and not done, with who and why. */
  readonly open: ReadonlyMap<string, ErasedKey & { readonly by: Mutation }>;
  /** Positions of the events that say it is done. */
  readonly done: ReadonlyMap<string, number>;
}

/** The subject's key, checked against holds; nothing is changed. @throws PERSONAL-UNKNOWN, PERSONAL-HELD */
export async function requireErasable(log: EventLog, keys: SubjectKeys, subject: string): Promise<SubjectState> {
  const state = keys.find(subject);
  if (state === undefined) throw personalError("PERSONAL-UNKNOWN", "nothing was ever sealed for this subject here");
  if (state.isErased) return state;
  const held = await heldEvent(log, await legalHolds(log), state.key);
  if (held === undefined) return state;
  const { hold, position } = held;
  throw personalError(
    "PERSONAL-HELD",
    `the legal hold ${hold.name} holds values of this subject, at position ${position}`,
    {
      details: { hold: hold.name, position },
    },
  );
}

/**
 * @param hurry ends the wait for deliveries
 * @throws PERSONAL-UNKNOWN, PERSONAL-HELD, PERSONAL-KEYS; PERSONAL-DELIVERY the key is gone, a delivery that had begun is not over
 */
export async function eraseSubject(
  log: EventLog,
  keys: SubjectKeys,
  env: Env,
  subject: string,
  by: Mutation,
  hurry?: AbortSignal,
): Promise<Erasure> {
  const { key, hash: subjectHash, isErased } = await requireErasable(log, keys, subject);
  const told = (await toldErasures(log)).done.get(key);
  if (isErased && told !== undefined) return { key, subjectHash, repeated: true, position: told };
  await append(log, env, INTENDED, { key, subjectHash }, by);
  const position = await carryOut(log, keys, env, { key, subjectHash }, by, hurry);
  return { key, subjectHash, repeated: false, position };
}

/**
 * Carries out what was intended when a process died. A key that is gone although no event says so (the log was cut, or is an older copy) is
 * told now.
 */
export async function finishErasures(log: EventLog, keys: SubjectKeys, env: Env): Promise<void> {
  if (keys.isEmpty) return;
  const { open, done } = await toldErasures(log);
  for (const { key, subjectHash, by } of open.values()) {
    // A key file that does not know the key is another one: the values cannot be read with it anyway.
    if (keys.key(key) !== undefined) await carryOut(log, keys, env, { key, subjectHash }, by);
  }
  for (const { key, hash: subjectHash } of keys.erased()) {
    if (done.has(key) || open.has(key)) continue;
    await append(log, env, ERASED, { key, subjectHash }, FOUND);
  }
}

async function carryOut(
  log: EventLog,
  keys: SubjectKeys,
  env: Env,
  erased: ErasedKey,
  by: Mutation,
  hurry?: AbortSignal,
): Promise<number> {
  await keys.destroy(erased.key);
  await delivered(keys, env, erased.key, hurry);
  return append(log, env, ERASED, erased, by);
}

/** @throws PERSONAL-DELIVERY */
async function delivered(keys: SubjectKeys, env: Env, key: string, hurry: AbortSignal | undefined): Promise<void> {
  const over = new AbortController();
  const limit = hurry === undefined ? over.signal : AbortSignal.any([over.signal, hurry]);
  const late = sleep(env, DELIVERY_WAIT_MS, limit).catch(() => undefined);
  const isDelivered = await Promise.race([keys.delivered(key).then(() => true), late.then(() => false)]);
  over.abort();
  if (isDelivered) return;
  const why = hurry?.aborted === true ? "and the host stops" : `after ${DELIVERY_WAIT_MS / 1000} s`;
  throw personalError(
    "PERSONAL-DELIVERY",
    `a sink is still delivering values of this subject ${why}; the key is gone`,
    {
      details: { key },
    },
  );
}

async function toldErasures(log: EventLog): Promise<ToldErasures> {
  const open = new Map<string, ErasedKey & { readonly by: Mutation }>();
  const done = new Map<string, number>();
  for (const event of await systemEvents(log, ERASURE_STREAM)) {
    const { key, subjectHash, reason } = systemPayload<ErasedKey>(event);
    if (event.type === INTENDED)
      open.set(key, { key, subjectHash, by: { principal: event.context.principal, reason } });
    if (event.type === ERASED) {
      open.delete(key);
      done.set(key, event.position);
    }
  }
  return { open, done };
}

interface HeldEvent {
  readonly hold: LegalHold;
  readonly position: number;
}

/** The first held event with values of the key, those included that come while a long log is looked through. */
async function heldEvent(log: EventLog, holds: readonly LegalHold[], key: string): Promise<HeldEvent | undefined> {
  if (holds.length === 0) return undefined;
  const seen = log.durableEnd;
  return (await heldFrom(log, log.base ?? 0, holds, key)) ?? heldFrom(log, seen, holds, key);
}

/** The key's id stands in its values as text, whatever the event is. */
async function heldFrom(
  log: EventLog,
  from: number,
  holds: readonly LegalHold[],
  key: string,
): Promise<HeldEvent | undefined> {
  for await (const events of log.read({ from })) {
    for (const event of events) {
      const { payload, stream, position } = event;
      const hold = stream === ERASURE_STREAM ? undefined : holds.find((candidate) => isHeld(candidate, event));
      if (hold === undefined) continue;
      const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.length);
      if (bytes.includes(key, 0, "latin1")) return { hold, position };
    }
  }
  return undefined;
}

function append(log: EventLog, env: Env, type: string, payload: ErasedKey, by: Mutation): Promise<number> {
  return appendSystemEvent(log, env, { stream: ERASURE_STREAM, type, payload }, by);
}
