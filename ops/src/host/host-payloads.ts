/**
 * The payloads of a host: shared memory on the memory file system, and the archive in the data directory. Graphs are compiled
 * before a host opens its data, so what they get is this object; nothing is opened in memory before the first payload.
 */
import { createHash } from "node:crypto";
import { accessSync, constants } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import type { ReaderModule } from "@millrace/actors";
import {
  type Env,
  type GraphModel,
  invariant,
  type Json,
  type LocatedPayload,
  PayloadArchive,
  type PayloadArchiveOptions,
  type PayloadCounters,
  PayloadExchange,
  type PayloadFormat,
  PayloadIntake,
  type PayloadLease,
  type PayloadStore,
  type PayloadStoreStats,
  type PayloadToken,
} from "@millrace/engine";
import { addonState, type OpenedPayloadStore, openPayloadStore, removeAbandonedStores } from "@millrace/native";
import { systemDisk } from "@millrace/streams/embedded";

export interface HostPayloadsOptions {
  readonly env: Env;
  /** Data directory of the host. */
  readonly data: string;
  readonly memory?: PayloadMemory | undefined;
}

/** Where payloads are in memory, and how much of it they take. */
export interface PayloadMemory {
  /** Default: one of this user and data directory on /dev/shm, else among temporary files. */
  readonly dir?: string | undefined;
  /** Bytes of payloads. Default 1 GiB. */
  readonly bytesMax?: number | undefined;
  /** Payloads that a process reads at once; beyond them it copies. Default 4096. */
  readonly slots?: number | undefined;
  /** How long a process may stand still and keep what it reads, in ms. Default 5000. */
  readonly leaseMs?: number | undefined;
}

/** How payloads were handed over, for people and programs. */
export interface PayloadReport extends PayloadCounters {
  /** Whether readers map the bytes or copy them; null before the first payload. */
  readonly memory: "mapped" | "copied" | null;
  /** Why they copy; null where they do not. */
  readonly reason: string | null;
  /** By `graph/node`, what its payloads travelled by and why. */
  readonly nodes: Readonly<Record<string, Json>>;
}

const BYTES_MAX = 1024 * 1024 * 1024;
const DIRECTORY_DIGITS = 16;
/** Of one user. */
const PREFIX = `millrace-${process.getuid?.() ?? 0}-`;
const NAME = new RegExp(`^${PREFIX}[0-9a-f]{${DIRECTORY_DIGITS}}$`);

export class HostPayloads {
  readonly #store: LateStore;
  /** Nobody said where to be. */
  readonly #isOwnMemory: boolean;
  readonly #intakes = new Map<string, PayloadIntake>();
  #exchange: PayloadExchange | undefined;

  constructor(options: HostPayloadsOptions) {
    const { env, data, memory = {} } = options;
    const { bytesMax = BYTES_MAX, slots, leaseMs } = memory;
    this.#isOwnMemory = memory.dir === undefined;
    const dir = memory.dir === undefined ? memoryDirectory(data) : resolve(memory.dir);
    this.#store = new LateStore(() => openPayloadStore({ dir, env, bytesMax, slots, leaseMs }), dir);
  }

  /** @throws PAYLOAD-FAILED the archive cannot be read */
  async open(log: PayloadArchiveOptions["log"], directory: string): Promise<void> {
    if (this.#isOwnMemory) await removeAbandonedStores(dirname(this.#store.directory), NAME);
    const archive = await PayloadArchive.open({ disk: systemDisk(), directory, log });
    const store = this.#store;
    this.#exchange = new PayloadExchange({
      store,
      archive,
      get isMapped() {
        return store.opened?.kind === "mapped";
      },
    });
  }

  get exchange(): PayloadExchange {
    invariant(this.#exchange !== undefined, "graphs run after their host has opened");
    return this.#exchange;
  }

  /** Where the payloads of a node enter. The same for every incarnation of it, so that its counts go on. */
  intakeOf({ name, edges, definition }: GraphModel, node: string): PayloadIntake {
    const key = `${name}/${node}`;
    const readers = edges.filter((edge) => edge.from === node).length;
    const above = definition.payloads?.above;
    const known = this.#intakes.get(key) ?? new PayloadIntake(() => this.exchange, { above, readers });
    this.#intakes.set(key, known);
    return known;
  }

  /** For worker threads; absent where memory is not mapped. */
  get reader(): ReaderModule | undefined {
    if (!addonState().inUse) return undefined;
    return { url: import.meta.resolve("@millrace/native/payload-reader"), directory: this.#store.directory };
  }

  /** `undefined`: no message ever named a payload. */
  report(): PayloadReport | undefined {
    if (this.#exchange?.isUsed !== true) return undefined;
    const { opened } = this.#store;
    const nodes = [...this.#intakes].flatMap(([node, intake]) => {
      const decided = intake.describe();
      return decided === undefined ? [] : [[node, decided] as const];
    });
    const memory = { memory: opened?.kind ?? null, reason: opened?.reason ?? null };
    return { ...this.#exchange.counters(), ...memory, nodes: Object.fromEntries(nodes) };
  }

  async close(): Promise<void> {
    await (this.#exchange ?? this.#store).close();
  }
}

/** A store that is opened by the first payload. */
class LateStore implements PayloadStore {
  readonly directory: string;
  readonly #open: () => OpenedPayloadStore;
  opened: OpenedPayloadStore | undefined;

  constructor(open: () => OpenedPayloadStore, directory: string) {
    this.#open = open;
    this.directory = directory;
  }

  get #store(): PayloadStore {
    this.opened ??= this.#open();
    return this.opened.store;
  }

  get id(): string {
    return this.#store.id;
  }

  put(bytes: Uint8Array, format: PayloadFormat): Promise<PayloadToken | undefined> {
    return this.#store.put(bytes, format);
  }

  discard(token: PayloadToken): Promise<void> {
    return this.#store.discard(token);
  }

  acquire(token: PayloadToken): Promise<PayloadLease | undefined> {
    return this.#store.acquire(token);
  }

  async locate(token: PayloadToken): Promise<LocatedPayload | undefined> {
    return this.#store.locate?.(token);
  }

  stats(): PayloadStoreStats {
    return this.opened?.store.stats() ?? { payloads: 0, bytes: 0, leases: 0 };
  }

  async close(): Promise<void> {
    await this.opened?.store.close();
  }
}

/** Of one user and one data directory: two hosts never share a quota by accident. */
function memoryDirectory(data: string): string {
  const name = createHash("sha256").update(resolve(data)).digest("hex").slice(0, DIRECTORY_DIGITS);
  return join(isWritable("/dev/shm") ? "/dev/shm" : tmpdir(), `${PREFIX}${name}`);
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
