/**
 * Where the log of a data directory is: in it, or in EventStoreDB. A directory stays with one log, because what else is in it
 * (payloads, projections, snapshots) means nothing beside another.
 */
import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf } from "@millrace/engine";
import { opsError } from "../errors.ts";
import type { DataDirectory } from "./data-directory.ts";

export interface RemotePlace {
  /** Of the log. */
  readonly id: string;
  /** The servers that it was on last, without anything secret. */
  readonly servers: string;
}

const PLACE = "eventstore.json";
/** What a directory without a log of its own may have in its folder for it. */
const NO_LOG: ReadonlySet<string> = new Set([PLACE, "LOCK"]);

/** `undefined`: the log is in the directory, or there is none yet. */
export async function remotePlace({ log }: DataDirectory): Promise<RemotePlace | undefined> {
  try {
    // Written below.
    return JSON.parse(await readFile(join(log, PLACE), "utf8")) as RemotePlace;
  } catch (thrown) {
    if (errnoOf(thrown) === "ENOENT") return undefined;
    throw thrown;
  }
}

/** @throws HOST-REMOTE-LOG the log is in EventStoreDB, so that `what` is not done here */
export async function requireOwnLog(directory: DataDirectory, what: string): Promise<void> {
  const place = await remotePlace(directory);
  if (place === undefined) return;
  throw opsError("HOST-REMOTE-LOG", `${what}: the log of ${directory.root} is in EventStoreDB (${place.servers})`);
}

/** @throws HOST-LOG the directory belongs to a log in EventStoreDB */
export async function refuseRemote(directory: DataDirectory): Promise<void> {
  const place = await remotePlace(directory);
  if (place === undefined) return;
  throw opsError("HOST-LOG", `the log of ${directory.root} is in EventStoreDB (${place.servers}), which was not named`);
}

/** @throws HOST-LOG the directory has a log of its own */
export async function refuseOwn({ root, log }: DataDirectory): Promise<void> {
  const files = await readdir(log).catch(() => []);
  if (files.every((file) => NO_LOG.has(file))) return;
  throw opsError("HOST-LOG", `${root} has a log of its own, and another one was named`);
}

/** Ties the directory to the log, the first time. @throws HOST-LOG it is tied to another */
export async function tieTo(directory: DataDirectory, place: RemotePlace): Promise<void> {
  const { root, log } = directory;
  const tied = await remotePlace(directory);
  if (tied !== undefined && tied.id !== place.id)
    throw opsError(
      "HOST-LOG",
      `${root} belongs to the log ${tied.id} (last at ${tied.servers}); ${place.servers} has the log ${place.id}`,
    );
  if (tied?.servers === place.servers) return;
  await mkdir(log, { recursive: true, mode: 0o700 });
  const draft = join(log, `${PLACE}.draft`);
  await writeFile(draft, `${JSON.stringify(place)}\n`, { mode: 0o600 });
  await rename(draft, join(log, PLACE));
}
