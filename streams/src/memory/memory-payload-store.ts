import { createHash } from "node:crypto";
import {
  CopiedLease,
  type Env,
  type PayloadFormat,
  type PayloadLease,
  type PayloadStore,
  type PayloadStoreStats,
  type PayloadToken,
  payloadError,
} from "@millrace/engine";

export interface MemoryPayloadStoreOptions {
  readonly env: Env;
  /** Room for payloads in bytes. Default 256 MiB. */
  readonly bytesMax?: number;
}

const BYTES_MAX = 256 * 1024 * 1024;

/** A payload store within one process, which copies to its readers. */
export function memoryPayloadStore(options: MemoryPayloadStoreOptions): PayloadStore {
  return new MemoryPayloadStore(options);
}

interface Payload {
  readonly token: PayloadToken;
  readonly bytes: Uint8Array;
}

class MemoryPayloadStore implements PayloadStore {
  readonly id: string;
  readonly #bytesMax: number;
  readonly #payloads = new Map<string, Payload>();
  readonly #leases = new Set<PayloadLease>();
  #bytes = 0;
  #sequence = 0;
  #closed = false;

  constructor({ env, bytesMax = BYTES_MAX }: MemoryPayloadStoreOptions) {
    this.id = Buffer.from(env.random.bytes(16)).toString("hex");
    this.#bytesMax = bytesMax;
  }

  async put(bytes: Uint8Array, format: PayloadFormat): Promise<PayloadToken | undefined> {
    this.#mustBeOpen();
    if (this.#bytes + bytes.length > this.#bytesMax) return undefined;
    const own = new Uint8Array(bytes);
    const hash = createHash("sha256").update(own).digest("hex");
    this.#sequence += 1;
    const token = { store: this.id, id: String(this.#sequence), format, length: own.length, hash };
    this.#payloads.set(token.id, { token, bytes: own });
    this.#bytes += own.length;
    return token;
  }

  async discard(token: PayloadToken): Promise<void> {
    const payload = this.#find(token);
    if (payload === undefined) return;
    this.#payloads.delete(token.id);
    this.#bytes -= payload.bytes.length;
  }

  async acquire(token: PayloadToken): Promise<PayloadLease | undefined> {
    this.#mustBeOpen();
    const payload = this.#find(token);
    if (payload === undefined) return undefined;
    const lease = new CopiedLease(payload.token, new Uint8Array(payload.bytes), () => this.#leases.delete(lease));
    this.#leases.add(lease);
    return lease;
  }

  stats(): PayloadStoreStats {
    return { payloads: this.#payloads.size, bytes: this.#bytes, leases: this.#leases.size };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#payloads.clear();
    this.#bytes = 0;
    for (const lease of [...this.#leases]) lease.release();
  }

  #find({ store, id, length, hash }: PayloadToken): Payload | undefined {
    const found = store === this.id ? this.#payloads.get(id) : undefined;
    return found !== undefined && found.token.length === length && found.token.hash === hash ? found : undefined;
  }

  #mustBeOpen(): void {
    if (this.#closed) throw payloadError("PAYLOAD-CLOSED", "the payload store is closed");
  }
}
