/** A loss of the log of a stopped data directory: what it is, and what follows when somebody accepts it (L-R20). */
import { stat } from "node:fs/promises";
import { type Mutation, systemEnv } from "@millrace/engine";
import { openLmdbStore } from "@millrace/native";
import { auditVerifierKey, auditWitnesses } from "@millrace/projections";
import {
  type AcceptedLoss,
  acceptLoss,
  assessLoss,
  indexWitness,
  type Loss,
  systemDisk,
} from "@millrace/streams/embedded";
import type { DataDirectory } from "../host/data-directory.ts";
import { openStoppedData } from "../host/open-data.ts";
import { exitOnFatal } from "../host/open-host.ts";
import { appendSystemEvent } from "../system-stream.ts";
import { RETENTION_STREAM } from "./legal-holds.ts";

const TRUNCATED = "LogTruncated";

export interface AcceptedLogLoss extends AcceptedLoss {
  /** Of the log with its new id. */
  readonly verifierKey: string;
}

/** `undefined` when nothing is lost that is known. @throws LOG-MANIFEST */
export async function logLoss(directory: DataDirectory): Promise<Loss | undefined> {
  return (await assessLoss({ disk: systemDisk(), directory: directory.log, seenEnd: seenEndOfAll(directory) }))?.loss;
}

/**
 * Cuts the log, opens it once, so that everything that follows it is made again, and tells in it what was lost.
 *
 * @throws LOG-LOCKED, LOG-MANIFEST
 */
export async function acceptLogLoss(directory: DataDirectory, by: Mutation): Promise<AcceptedLogLoss | undefined> {
  const env = systemEnv();
  const seenEnd = seenEndOfAll(directory);
  const accepted = await acceptLoss({ disk: systemDisk(), env, directory: directory.log, seenEnd, by });
  if (accepted === undefined) return undefined;
  const { from, to, logId, newLogId, unreadable, streams } = accepted;
  const data = await openStoppedData({ path: directory.root, env, onFatal: exitOnFatal });
  try {
    const payload = { from, to, formerId: logId, unreadable, streams: streams.length };
    await appendSystemEvent(data.log, env, { stream: RETENTION_STREAM, type: TRUNCATED, payload }, by);
  } finally {
    await data.close();
  }
  return { ...accepted, verifierKey: await auditVerifierKey(systemDisk(), directory.audit, newLogId) };
}

/** What the Merkle tree of a log has hashed was durable. */
export function seenEndOf(audit: string): (logId: string) => Promise<number> {
  return async (logId) => {
    const frontiers = await auditWitnesses(systemDisk(), audit);
    return frontiers.find((frontier) => frontier.logId === logId)?.size ?? 0;
  };
}

/** The same, and what the index has rows of. */
function seenEndOfAll({ audit, index }: DataDirectory): (logId: string) => Promise<number> {
  const signed = seenEndOf(audit);
  return async (logId) => Math.max(await signed(logId), await indexedEnd(index, logId));
}

async function indexedEnd(dir: string, logId: string): Promise<number> {
  if ((await stat(dir).catch(() => undefined)) === undefined) return 0;
  const store = await openLmdbStore({ dir });
  try {
    const seen = indexWitness(store);
    return seen?.logId === logId ? seen.pos : 0;
  } finally {
    await store.close();
  }
}
