/**
 * Opens a data directory whose log is in EventStoreDB. What it holds itself are projections and snapshots, which may be deleted,
 * and payloads, which may not. There is no index, no Merkle tree and no archive: those are made of a log's own files.
 */
import { mkdir } from "node:fs/promises";
import { type Env, type OrderedStore, SnapshotStore } from "@millrace/engine";
import { nativeFileLock, openLmdbStore } from "@millrace/native";
import type { ProjectionRunner } from "@millrace/projections";
import { type DirectoryLock, lockDirectory, systemDisk } from "@millrace/streams/embedded";
import type { EventStoreLog } from "@millrace/streams/event-store";
import { closeBeforeExit } from "../fast-exit.ts";
import { type DataDirectory, dataDirectory } from "./data-directory.ts";
import type { DeclaredProjection } from "./graph-stream.ts";
import { remoteLogCheck } from "./health.ts";
import type { HostData } from "./host-data.ts";
import type { LogAddress } from "./log-address.ts";
import { refuseOwn, tieTo } from "./log-place.ts";
import { runProjections } from "./run-projections.ts";

export interface OpenRemoteDataOptions {
  readonly path: string;
  readonly env: Env;
  readonly log: LogAddress;
}

/** Stream whose first event names the log. */
const NAMED_BY = "millrace";
/** A node whose calls fail for longer is started again, and nodes that are started again too often are parked. */
const PATIENCE_MS = 60_000;
/** For a process that is just dying. */
const LOCK_WAIT_MS = 1000;

/** @throws HOST-LOG, LOG-LOCKED, ESDB-CONFIG, ESDB-UNREACHABLE, ESDB-TLS, ESDB-DENIED */
export async function openRemoteData({ path, env, log: address }: OpenRemoteDataOptions): Promise<HostData> {
  const directory = dataDirectory(path);
  await refuseOwn(directory);
  await mkdir(directory.log, { recursive: true, mode: 0o700 });
  const lock = await lockDirectory(systemDisk(nativeFileLock()), directory.log, env, LOCK_WAIT_MS);
  try {
    const { openEventStoreLog } = await import("@millrace/streams/event-store");
    const { connectionString, servers } = address;
    const log = await openEventStoreLog({ connectionString, env, namedBy: NAMED_BY, patienceMs: PATIENCE_MS });
    try {
      await tieTo(directory, { id: log.id, servers });
      const store = await openLmdbStore({ dir: directory.projections });
      return new RemoteData(directory, log, servers, store, lock, env);
    } catch (thrown) {
      await log.close();
      throw thrown;
    }
  } catch (thrown) {
    await lock.release();
    throw thrown;
  }
}

class RemoteData implements HostData {
  readonly directory: DataDirectory;
  readonly log: EventStoreLog;
  readonly snapshots: SnapshotStore;
  readonly keys = undefined;
  readonly audit = undefined;
  readonly cosigning = undefined;
  readonly #servers: string;
  readonly #store: OrderedStore;
  readonly #lock: DirectoryLock;
  readonly #env: Env;
  readonly #release: () => void;
  #runner: ProjectionRunner | undefined;

  constructor(
    directory: DataDirectory,
    log: EventStoreLog,
    servers: string,
    store: OrderedStore,
    lock: DirectoryLock,
    env: Env,
  ) {
    this.directory = directory;
    this.log = log;
    this.snapshots = new SnapshotStore(store, log);
    this.#servers = servers;
    this.#store = store;
    this.#lock = lock;
    this.#env = env;
    this.#release = closeBeforeExit(() => store.close());
  }

  lags(): ReturnType<HostData["lags"]> {
    return {};
  }

  checks(): ReturnType<HostData["checks"]> {
    return [remoteLogCheck(this.log.outage, this.#servers, this.#env.clock.now())];
  }

  async project(declared: readonly DeclaredProjection[]): Promise<ProjectionRunner> {
    this.#runner = await runProjections(this.log, this.#store, declared, this.#env);
    return this.#runner;
  }

  async close(): Promise<void> {
    await this.#runner?.stop();
    await this.log.close();
    await this.#store.close();
    await this.#lock.release();
    this.#release();
  }
}
