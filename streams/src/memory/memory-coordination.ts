/** Coordination among hosts that live in one process: for tests and simulations. */
import {
  type CompareAndSet,
  type Coordination,
  type CoordinationEntry,
  checkCoordinationKey,
  coordinationError,
  type Env,
  type Member,
  type Membership,
} from "@millrace/engine";
import { Changes } from "./changes.ts";

export interface MemoryClusterOptions {
  readonly env: Env;
  /** Time in ms after which a host that was closed without leaving counts as dead. Default 5000. */
  readonly ttlMs?: number;
}

const TTL_MS = 5000;

/** What all hosts of a cluster share. `open` adds a host. */
export class MemoryCluster {
  readonly env: Env;
  readonly ttlMs: number;
  readonly changes: Changes = new Changes();
  /** `undefined` is a deleted value: its epoch stays. */
  readonly keys: Map<string, { readonly epoch: number; readonly value: Uint8Array | undefined }> = new Map();
  readonly members: Map<string, Member> = new Map();

  constructor({ env, ttlMs = TTL_MS }: MemoryClusterOptions) {
    this.env = env;
    this.ttlMs = ttlMs;
  }

  open(): Coordination {
    return new MemoryCoordination(this);
  }

  /** Removes that very member, if it is still there. */
  remove(member: Member): void {
    if (this.members.get(member.id) !== member) return;
    this.members.delete(member.id);
    this.changes.happened();
  }
}

class MemoryCoordination implements Coordination {
  readonly #cluster: MemoryCluster;
  readonly #closed = new AbortController();
  readonly #joined: Member[] = [];

  constructor(cluster: MemoryCluster) {
    this.#cluster = cluster;
  }

  async get(key: string): Promise<CoordinationEntry | undefined> {
    this.#mustBeOpen();
    return this.#entry(key);
  }

  async put(key: string, value: Uint8Array, expected: number | "none"): Promise<CompareAndSet> {
    this.#mustBeOpen();
    checkCoordinationKey(key);
    return this.#swap(key, expected, new Uint8Array(value));
  }

  async delete(key: string, expected: number): Promise<CompareAndSet> {
    this.#mustBeOpen();
    return this.#swap(key, expected, undefined);
  }

  async list(prefix: string): Promise<readonly CoordinationEntry[]> {
    this.#mustBeOpen();
    return this.#list(prefix);
  }

  watch(prefix: string, signal: AbortSignal): AsyncIterable<readonly CoordinationEntry[]> {
    const version = (entries: readonly CoordinationEntry[]): string => entries.map((e) => `${e.key}@${e.epoch}`).join();
    return this.#states(signal, () => this.#list(prefix), version);
  }

  async join(id: string, data: Uint8Array): Promise<Membership> {
    this.#mustBeOpen();
    checkCoordinationKey(id);
    const { members, env, changes } = this.#cluster;
    const incarnation = Buffer.from(env.random.bytes(8)).toString("hex");
    const member = { id, incarnation, data: new Uint8Array(data) };
    members.set(id, member);
    this.#joined.push(member);
    changes.happened();
    const lost = new AbortController();
    void this.#watchPlace(member, lost);
    return { incarnation, lost: lost.signal, leave: async () => this.#cluster.remove(member) };
  }

  async members(): Promise<readonly Member[]> {
    this.#mustBeOpen();
    return this.#members();
  }

  watchMembers(signal: AbortSignal): AsyncIterable<readonly Member[]> {
    const version = (members: readonly Member[]): string => members.map((m) => m.incarnation).join();
    return this.#states(signal, () => this.#members(), version);
  }

  async close(): Promise<void> {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort();
    const { env, ttlMs } = this.#cluster;
    env.timers.after(ttlMs, () => {
      for (const member of this.#joined) this.#cluster.remove(member);
    });
  }

  /** What `read` says now, and after each change of its version. Nothing comes between reading and waiting. */
  async *#states<T>(signal: AbortSignal, read: () => T, version: (state: T) => string): AsyncGenerator<T> {
    const ended = AbortSignal.any([signal, this.#closed.signal]);
    let last: string | undefined;
    while (!ended.aborted) {
      const state = read();
      if (version(state) !== last) {
        last = version(state);
        yield state;
      } else {
        await this.#cluster.changes.next(ended);
      }
    }
  }

  async #watchPlace(member: Member, lost: AbortController): Promise<void> {
    const { members, changes } = this.#cluster;
    while (!this.#closed.signal.aborted && members.get(member.id) === member) await changes.next(this.#closed.signal);
    const holder = members.get(member.id);
    if (holder !== undefined && holder !== member) lost.abort();
  }

  #swap(key: string, expected: number | "none", value: Uint8Array | undefined): CompareAndSet {
    const { keys, changes } = this.#cluster;
    const current = this.#entry(key);
    if ((current?.epoch ?? "none") !== expected) return { ok: false, current };
    const epoch = (keys.get(key)?.epoch ?? 0) + 1;
    keys.set(key, { epoch, value });
    changes.happened();
    return { ok: true, epoch };
  }

  #entry(key: string): CoordinationEntry | undefined {
    const found = this.#cluster.keys.get(key);
    return found?.value === undefined ? undefined : { key, epoch: found.epoch, value: new Uint8Array(found.value) };
  }

  #list(prefix: string): readonly CoordinationEntry[] {
    const keys = [...this.#cluster.keys.keys()].filter((key) => key.startsWith(prefix)).sort();
    return keys.map((key) => this.#entry(key)).filter((entry) => entry !== undefined);
  }

  #members(): readonly Member[] {
    return [...this.#cluster.members.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  #mustBeOpen(): void {
    if (this.#closed.signal.aborted) throw coordinationError("COORDINATION-CLOSED", "coordination is closed");
  }
}
