/**
 * Follows the log with its Merkle tree, off the append path: hashes what has become durable, writes tiles, then the frontier,
 * then signs a checkpoint (L-R23). Whoever is served a checkpoint finds the tiles that prove it.
 */
import {
  type Disk,
  type Env,
  type ErrorReport,
  errnoOf,
  type LiveStoredLog,
  reportOf,
  type StoredBatch,
  sleep,
} from "@millrace/engine";
import { AuditDirectory, type SignedCheckpoint } from "./audit-directory.ts";
import { edgeOf } from "./frontier.ts";
import type { GrowingTree, TileRun } from "./growing-tree.ts";
import { type RestoredTree, restoreTree } from "./restored-tree.ts";
import type { SigningKey } from "./signed-note.ts";
import { inlineTreeHasher, type TreeHasher } from "./tree-hasher.ts";

export interface AuditTreeOptions {
  readonly log: LiveStoredLog;
  readonly disk: Disk;
  /** Holds the directory of this log's tree, and of others'. */
  readonly directory: string;
  readonly env: Env;
  /** Pause in ms after a checkpoint, so that a trickle of events shares one. Default 1000. */
  readonly lingerMs?: number;
  /** Longest time in ms that `stop` goes on to hash; what is left is signed after the next start. Default 2000. */
  readonly stopMsMax?: number;
  /** Default: one in this thread, which hashes between the turns of others. */
  readonly hasher?: TreeHasher | undefined;
}

export interface AuditStatus {
  readonly state: "live" | "failed" | "stopped";
  /** Records that the newest checkpoint covers. */
  readonly size: number;
  /** Durable records that it does not cover yet. */
  readonly lag: number;
  /** How long there has been something that it does not cover, without a break, in ms. */
  readonly lagMs: number;
  readonly failure: ErrorReport | undefined;
  /** Why tiles were made again from the log as the tree was opened. */
  readonly rebuilt: string | undefined;
}

const LINGER_MS = 1000;
const STOP_MS_MAX = 2000;
const RETRY_MS = 1000;
/**
 * Time for hashing in one turn. A busy event loop comes round seldom, so that the tree takes little of it and falls behind; an idle
 * one comes round at once.
 */
const TURN_MS = 0.25;
/** Records of a checkpoint while catching up: its files are synced beside those that appends wait for. */
const CHECKPOINT_RECORDS_MAX = 262_144;

export interface AuditTree {
  /** The newest checkpoint, as served. */
  readonly checkpoint: SignedCheckpoint | undefined;
  status(): AuditStatus;
  /** Begins to follow the log. */
  start(): void;
  /** Resolves when a checkpoint covers the positions below `end`, or when the tree has failed or stopped. */
  signed(end: number): Promise<void>;
  /**
   * Ends with a checkpoint over everything that is durable now, as far as that takes no longer than `stopMsMax`, unless the tree has
   * failed. Call it before the log is closed.
   */
  stop(): Promise<void>;
}

class FollowingTree implements AuditTree {
  readonly #options: AuditTreeOptions;
  readonly #directory: AuditDirectory;
  readonly #key: SigningKey;
  readonly #tree: GrowingTree;
  readonly #rebuilt: string | undefined;
  readonly #hasher: TreeHasher;
  readonly #abort: AbortController = new AbortController();
  #chain: number;
  #checkpoint: SignedCheckpoint | undefined;
  /** Full tiles that the frontier does not cover. */
  #unwritten: TileRun[] = [];
  /** Since when there has been something unsigned without a break. */
  #behindSinceMs: number | undefined;
  /** True while there is something that tiles and checkpoint do not have. */
  #isUnsigned: boolean;
  #state: AuditStatus["state"] = "live";
  #failure: ErrorReport | undefined;
  #running: Promise<void> | undefined;
  readonly #waiting = new Set<() => void>();

  constructor(
    options: AuditTreeOptions,
    directory: AuditDirectory,
    key: SigningKey,
    checkpoint: SignedCheckpoint | undefined,
    restored: RestoredTree,
    hasher: TreeHasher,
  ) {
    this.#options = options;
    this.#hasher = hasher;
    this.#directory = directory;
    this.#key = key;
    this.#checkpoint = checkpoint;
    this.#tree = restored.tree;
    this.#chain = restored.chain;
    this.#rebuilt = restored.rebuilt;
    this.#unwritten = restored.tree.takeFull();
    this.#isUnsigned = restored.rebuilt !== undefined || restored.tree.size > (checkpoint?.size ?? 0);
  }

  get checkpoint(): SignedCheckpoint | undefined {
    return this.#checkpoint;
  }

  status(): AuditStatus {
    const { log, env } = this.#options;
    const size = this.#checkpoint?.size ?? 0;
    const lag = Math.max(0, log.durableEnd - size);
    const lagMs = this.#behindSinceMs === undefined ? 0 : env.clock.monotonic() - this.#behindSinceMs;
    return { state: this.#state, size, lag, lagMs, failure: this.#failure, rebuilt: this.#rebuilt };
  }

  start(): void {
    this.#running ??= this.#follow().catch((thrown: unknown) => this.#fail(thrown));
  }

  async signed(end: number): Promise<void> {
    while (this.#state === "live" && (this.#checkpoint?.size ?? 0) < end)
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#running;
    if (this.#state !== "live") return;
    try {
      await this.#takeRest();
      if (this.#isUnsigned) await this.#commit();
      this.#state = "stopped";
      this.#wake();
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  async #takeRest(): Promise<void> {
    const { log, env, stopMsMax = STOP_MS_MAX } = this.#options;
    const untilMs = env.clock.monotonic() + stopMsMax;
    for await (const batch of log.readStored(this.#tree.size, log.durableEnd)) {
      await this.#take(batch);
      if (env.clock.monotonic() >= untilMs) return;
    }
  }

  async #follow(): Promise<void> {
    const { log, env, lingerMs = LINGER_MS } = this.#options;
    const { signal } = this.#abort;
    if (this.#isUnsigned) await this.#commit();
    for await (const batch of log.followStored(this.#tree.size, signal)) {
      await this.#take(batch);
      const isLive = batch.end >= log.durableEnd;
      if (!isLive && batch.end - (this.#checkpoint?.size ?? 0) < CHECKPOINT_RECORDS_MAX) continue;
      await this.#commit();
      if (isLive) this.#behindSinceMs = undefined;
      if (isLive && lingerMs > 0) await sleep(env, lingerMs, signal).catch(() => undefined);
      if (signal.aborted) return;
    }
  }

  async #take(batch: StoredBatch): Promise<void> {
    await this.#tree.append(await this.#hasher.leaves(batch));
    this.#chain = batch.chain;
    this.#isUnsigned = true;
    this.#behindSinceMs ??= this.#options.env.clock.monotonic();
    this.#unwritten.push(...this.#tree.takeFull());
  }

  /** Waits out a full disk; any other error ends the tree, since the state of the medium is unknown. */
  async #commit(): Promise<void> {
    for (;;) {
      try {
        await this.#write();
        this.#failure = undefined;
        return;
      } catch (thrown) {
        if (errnoOf(thrown) !== "ENOSPC" || this.#abort.signal.aborted) throw thrown;
        this.#failure = reportOf(thrown);
        await sleep(this.#options.env, RETRY_MS, this.#abort.signal).catch(() => undefined);
      }
    }
  }

  async #write(): Promise<void> {
    const { log } = this.#options;
    const { size } = this.#tree;
    // Where everything is pruned no block is here whose chain value a frontier could keep; what comes next brings one.
    if (size === 0 || this.#chain === 0) return;
    const root = this.#tree.root();
    await this.#directory.tiles.levels.write(this.#unwritten);
    const hex = Buffer.from(root).toString("hex");
    const edge = edgeOf(this.#tree.partial());
    await this.#directory.putFrontier({ logId: log.id, size, root: hex, chain: this.#chain, edge });
    // What a frontier covers is never written again: a crash could tear it.
    this.#unwritten = [];
    this.#checkpoint = await this.#directory.sign(size, root, this.#key);
    this.#isUnsigned = false;
    this.#wake();
  }

  #fail(thrown: unknown): void {
    const report = reportOf(thrown);
    this.#state = report.code === "LOG-CLOSED" ? "stopped" : "failed";
    if (this.#state === "failed") this.#failure = report;
    this.#wake();
  }
}

/**
 * Opens the tree of a log; it follows once it is started. A tree that cannot go on, but says nothing against the log, has
 * failed from the start: the log takes appends, and nothing is signed.
 *
 * @throws LOG-FORK, AUDIT-AHEAD the log is not what was signed
 */
export async function openAuditTree(options: AuditTreeOptions): Promise<AuditTree> {
  const directory = new AuditDirectory(options.disk, options.directory, options.log.id);
  try {
    await directory.make();
    const key = await directory.signingKey(options.env.random);
    const checkpoint = await directory.checkpoint(key);
    const hasher = options.hasher ?? inlineTreeHasher(turnTaking(options.env));
    const restored = await restoreTree(options.log, directory, checkpoint, hasher);
    return new FollowingTree(options, directory, key, checkpoint, restored, hasher);
  } catch (thrown) {
    const failure = reportOf(thrown);
    if (EVIDENCE_AGAINST_LOG.has(failure.code)) throw thrown;
    return failedTree(options.log, failure);
  }
}

/** Lets others have a turn when this one has lasted long enough. */
function turnTaking({ clock, turns }: Env): () => Promise<void> | undefined {
  let untilMs = clock.monotonic() + TURN_MS;
  return () => {
    if (clock.monotonic() < untilMs) return undefined;
    return new Promise<void>((resolve) => turns.yieldToIo(resolve)).then(() => {
      untilMs = clock.monotonic() + TURN_MS;
    });
  };
}

const EVIDENCE_AGAINST_LOG: ReadonlySet<string> = new Set(["LOG-FORK", "AUDIT-AHEAD"]);

function failedTree(log: LiveStoredLog, failure: ErrorReport): AuditTree {
  return {
    checkpoint: undefined,
    status: () => ({ state: "failed", size: 0, lag: log.durableEnd, lagMs: 0, failure, rebuilt: undefined }),
    start: () => undefined,
    signed: () => Promise.resolve(),
    stop: () => Promise.resolve(),
  };
}
