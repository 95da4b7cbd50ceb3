/** Opens a data directory: the log, its index, snapshots, its Merkle tree, and the projections of every graph that it knows. */
import { randomBytes } from "node:crypto";
import { mkdir, stat } from "node:fs/promises";
import { type Env, MillraceError, messageOf, type OrderedStore, SnapshotStore, SubjectKeys } from "@millrace/engine";
import type { HealthCheck } from "@millrace/gateway";
import { nativeBlocks, nativeFileLock, nativeTreeHasher, openLmdbStore } from "@millrace/native";
import {
  type AuditTree,
  auditWitnesses,
  type Cosigning,
  openAuditTree,
  type ProjectionRunner,
  startCosigning,
} from "@millrace/projections";
import { type EmbeddedLog, openEmbeddedLog, systemDisk, type Witness } from "@millrace/streams/embedded";
import type { WitnessOptions } from "../audit/witness-options.ts";
import { opsError } from "../errors.ts";
import { closeBeforeExit } from "../fast-exit.ts";
import { finishErasures } from "../personal/erase-subject.ts";
import { tellPruned } from "../retention/legal-holds.ts";
import { type DataDirectory, dataDirectory } from "./data-directory.ts";
import type { DeclaredProjection } from "./graph-stream.ts";
import { ownLogChecks } from "./health.ts";
import type { HostData } from "./host-data.ts";
import { IndexThread } from "./index-thread.ts";
import { refuseRemote } from "./log-place.ts";
import { runProjections } from "./run-projections.ts";

export interface OpenedData extends HostData {
  readonly log: EmbeddedLog;
  readonly keys: SubjectKeys;
  readonly audit: AuditTree;
}

export interface OpenDataOptions {
  readonly path: string;
  readonly env: Env;
  /** Called once when the log stops for good; the process must exit. */
  readonly onFatal: (error: MillraceError) => void;
  /** Witnesses that are asked for cosignatures. Default none. */
  readonly witnesses?: WitnessOptions | undefined;
  /** Records that may wait to be signed before appends are refused. Default 4,194,304: some seconds of a log that takes as many as it can. */
  readonly treeLagMax?: number;
}

/** @throws HOST-DATA, HOST-LOG, LOG-LOCKED and other refusals of the log and its stores */
export async function openData(options: OpenDataOptions): Promise<OpenedData> {
  try {
    return await open(options);
  } catch (thrown) {
    if (thrown instanceof MillraceError) throw thrown;
    const { root } = dataDirectory(options.path);
    throw opsError("HOST-DATA", `${root} cannot be used: ${messageOf(thrown)}`, { cause: thrown });
  }
}

async function open({
  path,
  env,
  onFatal,
  witnesses,
  treeLagMax = TREE_LAG_MAX,
}: OpenDataOptions): Promise<OpenedData> {
  const directory = dataDirectory(path);
  await refuseRemote(directory);
  await mkdir(directory.root, { recursive: true, mode: 0o700 });
  // Each step is undone when a later one fails.
  const index = await openLmdbStore({ dir: directory.index });
  try {
    const store = await openLmdbStore({ dir: directory.projections });
    try {
      const kernels = nativeBlocks();
      const indexer = new IndexThread({ store: index, kernels });
      const log = await openEmbeddedLog({
        directory: directory.log,
        disk: systemDisk(nativeFileLock()),
        env,
        indexStore: index,
        indexer: indexer.of,
        kernels,
        onFatal,
        witnesses: await treeWitnesses(directory),
      });
      const keys = await openKeys(log, directory, env);
      await tellPruned(log, env);
      const audit = await openTree(log, directory, env, treeLagMax);
      const cosigning = await openCosigning(log, audit, directory, env, witnesses);
      return new Data(directory, log, keys, audit, cosigning, indexer, index, store, env);
    } catch (thrown) {
      await store.close();
      throw thrown;
    }
  } catch (thrown) {
    await index.close();
    throw thrown;
  }
}

/** Carries out what a crash left of erasures. Closes the log again when the keys cannot be read. @throws PERSONAL-KEYS */
async function openKeys(log: EmbeddedLog, { keys: directory }: DataDirectory, env: Env): Promise<SubjectKeys> {
  try {
    const keys = await SubjectKeys.open({ disk: systemDisk(), directory, randomBytes });
    await finishErasures(log, keys, env);
    return keys;
  } catch (thrown) {
    await log.close();
    throw thrown;
  }
}

const TREE_LAG_MAX = 4_194_304;

/** Closes the log again when it is not what was signed. @throws LOG-FORK, AUDIT-AHEAD */
async function openTree(log: EmbeddedLog, { audit }: DataDirectory, env: Env, treeLagMax: number): Promise<AuditTree> {
  try {
    const tree = await openAuditTree({ log, disk: systemDisk(), directory: audit, env, hasher: nativeTreeHasher() });
    tree.start();
    log.bound({ name: "audit tree", lag: () => treeLag(tree), lagMax: treeLagMax });
    return tree;
  } catch (thrown) {
    await log.close();
    throw thrown;
  }
}

/** A tree that has failed follows no more: its state says so, and nothing waits for it. */
function treeLag(tree: AuditTree): number {
  const { state, lag } = tree.status();
  return state === "failed" ? 0 : lag;
}

/** A tree that has failed has no key that could be proven; its own state says why. */
async function openCosigning(
  log: EmbeddedLog,
  tree: AuditTree,
  { audit }: DataDirectory,
  env: Env,
  options: WitnessOptions | undefined,
): Promise<Cosigning | undefined> {
  if (options === undefined || tree.status().state === "failed") return undefined;
  const { witnesses, allow, onChange } = options;
  try {
    const { guardedHttpClient } = await import("@millrace/streams/http");
    // Several may be behind one address; none waits for another's answer.
    const http = guardedHttpClient({ allow, connections: witnesses.length }, env);
    const ports = { tree, logId: log.id, disk: systemDisk(), directory: audit, env, http };
    return await startCosigning({ ...ports, witnesses, onChange });
  } catch (thrown) {
    await tree.stop();
    await log.close();
    throw thrown;
  }
}

/** What the Merkle tree has seen of the log; it may be more than the log has (L-R15). */
async function treeWitnesses({ audit }: DataDirectory): Promise<readonly Witness[]> {
  const frontiers = await auditWitnesses(systemDisk(), audit);
  return frontiers.map(({ path, logId, size, chain }) => ({
    name: `the Merkle tree of ${path}`,
    logId,
    pos: size,
    chain,
  }));
}

/** The same for a directory that must have been written before. @throws HOST-EMPTY */
export async function openStoppedData(options: OpenDataOptions): Promise<OpenedData> {
  const { log, root } = dataDirectory(options.path);
  const found = await stat(log).catch(() => undefined);
  if (found === undefined) throw opsError("HOST-EMPTY", `${root} holds no Millrace data`);
  return openData(options);
}

class Data implements OpenedData {
  readonly directory: DataDirectory;
  readonly log: EmbeddedLog;
  readonly snapshots: SnapshotStore;
  readonly keys: SubjectKeys;
  readonly audit: AuditTree;
  readonly cosigning: Cosigning | undefined;
  readonly #index: OrderedStore;
  readonly #store: OrderedStore;
  readonly #env: Env;
  readonly #release: () => void;
  #runner: ProjectionRunner | undefined;

  constructor(
    directory: DataDirectory,
    log: EmbeddedLog,
    keys: SubjectKeys,
    audit: AuditTree,
    cosigning: Cosigning | undefined,
    indexer: IndexThread,
    index: OrderedStore,
    store: OrderedStore,
    env: Env,
  ) {
    this.directory = directory;
    this.log = log;
    this.keys = keys;
    this.audit = audit;
    this.cosigning = cosigning;
    this.snapshots = new SnapshotStore(store, log);
    this.#index = index;
    this.#store = store;
    this.#env = env;
    this.#release = closeBeforeExit(async () => {
      await Promise.all([store.close(), indexer.close().then(() => index.close())]);
    });
  }

  checks(): readonly HealthCheck[] {
    return ownLogChecks(this.log.health, this.audit.status(), this.cosigning?.status());
  }

  lags(): ReturnType<HostData["lags"]> {
    return { index: this.log.health.indexLag, "audit tree": this.audit.status().lag };
  }

  async project(declared: readonly DeclaredProjection[]): Promise<ProjectionRunner> {
    this.#runner = await runProjections(this.log, this.#store, declared, this.#env);
    return this.#runner;
  }

  async close(): Promise<void> {
    await this.#runner?.stop();
    await this.audit.stop();
    await this.cosigning?.stop();
    await this.log.close();
    await this.keys.close();
    await this.#store.close();
    await this.#index.close();
    this.#release();
  }
}
