/**
 * The replication slot that keeps changes until they are confirmed: made on first use, and compared with how far was read before. What it
 * does not have any more is a gap from there to where it begins.
 */
import { engineError, type MillraceError } from "@millrace/engine";
import { type Client, escapeIdentifier, escapeLiteral } from "pg";
import { postgresError } from "../errors.ts";
import type { ChangeCursor } from "./change-cursor.ts";
import { lsnOf, lsnText } from "./lsn.ts";

export interface SlotOptions {
  readonly publication: string;
  readonly slot: string;
  /** The server drops the slot with the session that made it. */
  readonly isTemporary: boolean;
  readonly gap: "stop" | "record";
}

/** Where changes come from. */
export interface SlotStart {
  readonly cursor: ChangeCursor;
  /** Where the log of the server is now. */
  readonly now: bigint;
  /** What was lost before the cursor. */
  readonly gap?: Gap;
}

export interface Gap {
  /** The first place at which a transaction may have committed that was not read, and the one behind the last. */
  readonly from: bigint;
  readonly to: bigint;
  readonly error: MillraceError;
}

interface SlotRow {
  readonly plugin: string | null;
  readonly database: string | null;
  readonly temporary: boolean;
  readonly pid: number | null;
  readonly status: string | null;
  readonly confirmed: string | null;
  readonly here: string;
}

/** Mostly it is held by a connection that has just ended. */
const HELD_MS = 200;
const SLOT = `select plugin, database, temporary, active_pid as pid, wal_status as status, confirmed_flush_lsn::text as confirmed,
current_database() as here from pg_replication_slots where slot_name = `;

/**
 * @param client a session for replication: it takes no parameters
 * @param earlier the process of the server that held the slot for this source before; it may not know yet that its client is gone
 * @throws SOURCE-GAP, SOURCE-MISSING, SOURCE-FAILED, SOURCE-RECREATED, POSTGRES-SLOT
 */
export async function openSlot(
  client: Client,
  options: SlotOptions,
  cursor: ChangeCursor | undefined,
  earlier: number | undefined,
): Promise<SlotStart> {
  const { system, now } = await identity(client);
  refuseOther(options, cursor, system, now);
  await requirePublication(client, options.publication);
  const slot = await slotOf(client, options.slot);
  if (slot !== undefined) await requireUsable(client, options, slot, earlier);
  const kept = slot?.status === "lost" ? undefined : slot?.confirmed;
  const since = cursor?.lsn ?? (slot?.status === "lost" && slot.confirmed !== null ? lsnOf(slot.confirmed) : undefined);
  const start = async (): Promise<bigint> =>
    kept === undefined || kept === null ? await make(client, options, slot !== undefined, since, now) : lsnOf(kept);
  const from = await start();
  if (since === undefined || from <= since) return { cursor: cursor ?? { system, lsn: from, ord: 0 }, now };
  const error = gapError(options, since, from);
  if (options.gap === "stop") throw error;
  return { cursor: { system, lsn: from, ord: 0 }, now, gap: { from: since, to: from, error } };
}

async function identity(client: Client): Promise<{ readonly system: string; readonly now: bigint }> {
  const { rows } = await client.query<{ systemid: string; xlogpos: string }>("IDENTIFY_SYSTEM");
  const [{ systemid, xlogpos }] = rows as [{ systemid: string; xlogpos: string }];
  return { system: systemid, now: lsnOf(xlogpos) };
}

/** @throws SOURCE-RECREATED */
function refuseOther({ slot }: SlotOptions, cursor: ChangeCursor | undefined, system: string, now: bigint): void {
  if (cursor === undefined || (cursor.system === system && cursor.lsn <= now + 1n)) return;
  const was = `it was read up to ${lsnText(cursor.lsn)} of database cluster ${cursor.system}`;
  throw engineError("SOURCE-RECREATED", `${was}, and the server is at ${lsnText(now)} of ${system}`, {
    place: { stream: slot },
    details: { before: cursor.system, now: system, read: lsnText(cursor.lsn), at: lsnText(now) },
  });
}

/** Who wants changes of a publication that is made after them would be told that it does not exist, and by no other way than that. */
async function requirePublication(client: Client, name: string): Promise<void> {
  const { rowCount } = await client.query(`select from pg_publication where pubname = ${escapeLiteral(name)}`);
  if (rowCount === 0)
    throw engineError("SOURCE-MISSING", `there is no publication ${name}`, { place: { stream: name } });
}

async function slotOf(client: Client, name: string): Promise<SlotRow | undefined> {
  return (await client.query<SlotRow>(`${SLOT}${escapeLiteral(name)}`)).rows[0];
}

/** @throws POSTGRES-SLOT, SOURCE-FAILED somebody holds it */
async function requireUsable(
  client: Client,
  { slot, isTemporary }: SlotOptions,
  { plugin, database, here, temporary, pid }: SlotRow,
  earlier: number | undefined,
): Promise<void> {
  if (plugin !== "pgoutput") throw refused(slot, `is ${plugin === null ? "physical" : `for ${plugin}`}, not pgoutput`);
  if (database !== here) throw refused(slot, `is for database ${database}`);
  if (temporary !== isTemporary && pid !== earlier)
    throw refused(slot, `is ${temporary ? "somebody's temporary one" : "not temporary"}`);
  if (pid === null) return;
  if (pid === earlier) await client.query(`select pg_terminate_backend(${pid})`);
  const message = `slot ${slot} is held by process ${pid} of the server`;
  throw engineError("SOURCE-FAILED", message, { place: { stream: slot }, retryAfterMs: HELD_MS });
}

/** Makes the slot anew; changes that commit from its beginning on are kept. @throws SOURCE-GAP */
async function make(
  client: Client,
  options: SlotOptions,
  isThere: boolean,
  since: bigint | undefined,
  now: bigint,
): Promise<bigint> {
  const { slot, isTemporary, gap } = options;
  // The slot that is gone stays so until somebody has decided.
  if (since !== undefined && gap === "stop") throw gapError(options, since, now);
  if (isThere) await client.query(`DROP_REPLICATION_SLOT ${escapeIdentifier(slot)}`);
  const kind = isTemporary ? "TEMPORARY LOGICAL" : "LOGICAL";
  const { rows } = await client.query<{ consistent_point: string }>(
    `CREATE_REPLICATION_SLOT ${escapeIdentifier(slot)} ${kind} pgoutput NOEXPORT_SNAPSHOT`,
  );
  const [{ consistent_point }] = rows as [{ consistent_point: string }];
  return lsnOf(consistent_point);
}

function gapError({ slot, publication }: SlotOptions, from: bigint, to: bigint): MillraceError {
  const range = { slot, publication, from: lsnText(from), to: lsnText(to) };
  const message = `slot ${slot} does not have what committed from ${range.from} to before ${range.to} any more`;
  return engineError("SOURCE-GAP", message, { place: { stream: slot }, details: range });
}

function refused(slot: string, reason: string): Error {
  return postgresError("POSTGRES-SLOT", `slot ${slot} ${reason}`, { details: { slot } });
}
