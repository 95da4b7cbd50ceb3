/**
 * Has witnesses cosign each signed checkpoint (https://c2sp.org/tlog-witness), beside log and tree: neither ever waits for one.
 * Whoever later alters the log together with its signing key is contradicted by what the witnesses have signed.
 */
import {
  type Disk,
  type Env,
  type ErrorReport,
  type HttpClient,
  MillraceError,
  reportOf,
  sleep,
} from "@millrace/engine";
import { AuditDirectory, type SignedCheckpoint } from "./audit-directory.ts";
import type { AuditTree } from "./audit-tree.ts";
import { openCheckpoint } from "./checkpoint.ts";
import { cosignedAtS } from "./cosignature.ts";
import type { AskedWitness } from "./witness-call.ts";
import { WitnessCosigner } from "./witness-cosigner.ts";

export interface CosigningOptions {
  readonly tree: Pick<AuditTree, "checkpoint" | "signed">;
  readonly logId: string;
  readonly disk: Disk;
  /** Holds the directory of this log's tree, and of others'. */
  readonly directory: string;
  readonly env: Env;
  /** Closed with the cosigning. */
  readonly http: HttpClient;
  /** No two with one key. */
  readonly witnesses: readonly AskedWitness[];
  /** Shortest time in ms from one checkpoint that is sent to the next. Default 1000. */
  readonly everyMs?: number;
  /** Longest time in ms for a witness's answer. Default 10 000. */
  readonly deadlineMs?: number;
  /** Longest time in ms that `stop` waits for cosignatures of the last checkpoint. Default 1000. */
  readonly stopMsMax?: number;
  /** Called when a witness begins to fail, fails in another way, or cosigns again. */
  readonly onChange?: (status: WitnessStatus) => void;
}

export interface WitnessStatus {
  readonly name: string;
  readonly url: string;
  /** `alarm`: the witness contradicts this log. */
  readonly state: "live" | "failing" | "alarm";
  /** Records that the newest checkpoint covers that it has cosigned. */
  readonly size: number;
  /** Signed records that it has not cosigned yet. */
  readonly lag: number;
  /** When it last cosigned, by its own clock, in ms since 1970. */
  readonly cosignedMs: number | undefined;
  readonly failure: ErrorReport | undefined;
}

export interface Cosigning {
  /** In the order of the configuration. */
  status(): readonly WitnessStatus[];
  /** Waits a little for cosignatures of the last checkpoint. Call it after the tree has stopped. */
  stop(): Promise<void>;
}

const EVERY_MS = 1000;
const DEADLINE_MS = 10_000;
const STOP_MS_MAX = 1000;
const BACKOFF_MS = 1000;
const BACKOFF_MS_MAX = 300_000;
const ALARMS: ReadonlySet<string> = new Set(["WITNESS-AHEAD", "WITNESS-FORK"]);

interface Asked {
  readonly cosigner: WitnessCosigner;
  failure: ErrorReport | undefined;
  failures: number;
  /** False until it has answered: at the start it is asked even for what it has cosigned. */
  hasAnswered: boolean;
}

/** Begins to ask. @throws AUDIT-KEY the log has no verifier key */
export async function startCosigning(options: CosigningOptions): Promise<Cosigning> {
  const directory = new AuditDirectory(options.disk, options.directory, options.logId);
  const logKey = await directory.verifierKey();
  const { http, deadlineMs = DEADLINE_MS, tree } = options;
  const cosigners: WitnessCosigner[] = [];
  // One is asked only for a checkpoint that there is.
  const newest = (): SignedCheckpoint => tree.checkpoint as SignedCheckpoint;
  for (const witness of options.witnesses) {
    const cosigner = new WitnessCosigner({ witness, directory, logKey, http, deadlineMs, newest });
    await cosigner.restore();
    cosigners.push(cosigner);
  }
  const note = await directory.cosignedCheckpoint();
  const published = cosigners.filter(
    ({ witness }) => note !== undefined && cosignedAtS(note, witness.key) !== undefined,
  );
  const isOfLog = note !== undefined && openCheckpoint(note, logKey) !== undefined;
  return new RunningCosigning(options, directory, cosigners, isOfLog ? published.map(({ id }) => id) : []);
}

class RunningCosigning implements Cosigning {
  readonly #options: CosigningOptions;
  readonly #directory: AuditDirectory;
  readonly #asked: readonly Asked[];
  readonly #abort: AbortController = new AbortController();
  readonly #running: Promise<unknown>;
  readonly #waiting = new Set<() => void>();
  /** What is being cosigned: all are asked for the same, so that one note can hold their cosignatures. */
  #target: SignedCheckpoint | undefined;
  /** Whose cosignatures the published checkpoint has. */
  #published: ReadonlySet<string>;
  #writing: Promise<void> = Promise.resolve();

  constructor(
    options: CosigningOptions,
    directory: AuditDirectory,
    cosigners: readonly WitnessCosigner[],
    published: readonly string[],
  ) {
    this.#options = options;
    this.#directory = directory;
    this.#published = new Set(published);
    this.#asked = cosigners.map((cosigner) => ({ cosigner, failure: undefined, failures: 0, hasAnswered: false }));
    this.#running = Promise.all([this.#follow(), ...this.#asked.map((asked) => this.#serve(asked))]);
  }

  status(): readonly WitnessStatus[] {
    return this.#asked.map((asked) => this.#statusOf(asked));
  }

  async stop(): Promise<void> {
    const { tree, env, http, stopMsMax = STOP_MS_MAX } = this.#options;
    this.#aim(tree.checkpoint);
    const end = new AbortController();
    const late = sleep(env, stopMsMax, end.signal).catch(() => undefined);
    let isLate = false;
    void late.then(() => {
      isLate = true;
      this.#wake();
    });
    while (!isLate && this.#asked.some((asked) => this.#isBehind(asked) && asked.failure === undefined))
      await this.#changed();
    end.abort();
    this.#abort.abort();
    this.#wake();
    await http.close();
    await this.#running;
  }

  /** Takes the newest checkpoint as the next to be cosigned, not more often than wanted. */
  async #follow(): Promise<void> {
    const { tree, env, everyMs = EVERY_MS } = this.#options;
    const { signal } = this.#abort;
    while (!signal.aborted) {
      const size = this.#target?.size ?? 0;
      await tree.signed(size + 1);
      // A tree that has ended signs nothing more.
      if ((tree.checkpoint?.size ?? 0) <= size) return;
      this.#aim(tree.checkpoint);
      await sleep(env, everyMs, signal).catch(() => undefined);
    }
  }

  #aim(checkpoint: SignedCheckpoint | undefined): void {
    if (checkpoint === undefined || checkpoint.size === this.#target?.size) return;
    this.#target = checkpoint;
    this.#wake();
  }

  async #serve(asked: Asked): Promise<void> {
    const { signal } = this.#abort;
    for (;;) {
      while (!signal.aborted && !this.#isBehind(asked)) await this.#changed();
      if (signal.aborted || this.#target === undefined) return;
      try {
        await asked.cosigner.ask(this.#target, signal);
        await this.#succeed(asked);
      } catch (thrown) {
        if (signal.aborted) return;
        await this.#fail(asked, thrown);
      }
    }
  }

  #isBehind({ cosigner, hasAnswered }: Asked): boolean {
    if (this.#target === undefined) return false;
    return !hasAnswered || (cosigner.cosigned?.size ?? 0) < this.#target.size;
  }

  async #succeed(asked: Asked): Promise<void> {
    const hasFailed = asked.failure !== undefined;
    asked.failure = undefined;
    asked.failures = 0;
    asked.hasAnswered = true;
    await this.#publish();
    if (hasFailed) this.#options.onChange?.(this.#statusOf(asked));
    this.#wake();
  }

  async #fail(asked: Asked, thrown: unknown): Promise<void> {
    const { env, onChange } = this.#options;
    const before = asked.failure?.code;
    asked.failure = reportOf(thrown);
    asked.failures++;
    if (before !== asked.failure.code) onChange?.(this.#statusOf(asked));
    // Those who wait for this one need not any more.
    await this.#publish().catch(() => undefined);
    this.#wake();
    const wanted = thrown instanceof MillraceError ? (thrown.retryAfterMs ?? 0) : 0;
    await sleep(env, Math.max(wanted, this.#backoffMs(asked.failures)), this.#abort.signal).catch(() => undefined);
  }

  #backoffMs(failures: number): number {
    const fullMs = Math.min(BACKOFF_MS_MAX, BACKOFF_MS * 2 ** Math.min(failures - 1, 16));
    return fullMs * (0.5 + this.#options.env.random.u32() / 2 ** 33);
  }

  /** Writers take turns: none puts an older note over a newer one. */
  #publish(): Promise<void> {
    const turn = this.#writing.then(() => this.#publishNow());
    this.#writing = turn.catch(() => undefined);
    return turn;
  }

  /** Not before all have cosigned whose cosignatures the published checkpoint has, but for those that fail. */
  async #publishNow(): Promise<void> {
    const target = this.#target;
    if (target === undefined) return;
    const cosigned = this.#asked.flatMap(({ cosigner }) =>
      cosigner.cosigned?.size === target.size ? [{ id: cosigner.id, line: cosigner.cosigned.line }] : [],
    );
    const ids = new Set(cosigned.map(({ id }) => id));
    const isMissed = ({ cosigner: { id }, failure }: Asked): boolean =>
      this.#published.has(id) && !ids.has(id) && failure === undefined;
    if (ids.size === 0 || this.#asked.some(isMissed)) return;
    await this.#directory.putCosignedCheckpoint(`${target.note}${cosigned.map(({ line }) => `${line}\n`).join("")}`);
    this.#published = ids;
  }

  #statusOf({ cosigner: { witness, cosigned }, failure }: Asked): WitnessStatus {
    const size = cosigned?.size ?? 0;
    const state = failure === undefined ? "live" : ALARMS.has(failure.code) ? "alarm" : "failing";
    return {
      name: witness.key.name,
      url: witness.url,
      state,
      size,
      lag: Math.max(0, (this.#options.tree.checkpoint?.size ?? 0) - size),
      cosignedMs: cosigned === undefined ? undefined : cosigned.atS * 1000,
      failure,
    };
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve));
  }

  #wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const resolve of waiting) resolve();
  }
}
