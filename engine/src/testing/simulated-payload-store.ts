/** A payload store in memory that can be told to lose what real ones lose: payloads, and leases while they are held. */
import { createHash } from "node:crypto";
import { CopiedLease } from "../payload/copied-lease.ts";
import { payloadError } from "../payload/payload-errors.ts";
import type {
  LocatedPayload,
  PayloadFormat,
  PayloadLease,
  PayloadStore,
  PayloadStoreStats,
  PayloadToken,
} from "../payload/payload-store.ts";

export class SimulatedPayloadStore implements PayloadStore {
  readonly id: string;
  /** Bytes that fit in; may change at any time. */
  bytesMax: number;
  /** Every payload is gone before it is asked for: pressure from elsewhere. */
  forgetful = false;
  /** The next lease is revoked while it is held, and its bytes become another payload's. */
  revokesNext = false;
  puts = 0;
  readonly #payloads = new Map<string, { readonly token: PayloadToken; readonly bytes: Uint8Array }>();
  readonly #leases = new Set<PayloadLease>();
  #closed = false;

  constructor(id: string, bytesMax: number) {
    this.id = id;
    this.bytesMax = bytesMax;
  }

  async put(bytes: Uint8Array, format: PayloadFormat): Promise<PayloadToken | undefined> {
    this.#mustBeOpen();
    if (this.stats().bytes + bytes.length > this.bytesMax) return undefined;
    const own = new Uint8Array(bytes);
    const hash = createHash("sha256").update(own).digest("hex");
    const token = { store: this.id, id: String(++this.puts), format, length: own.length, hash };
    this.#payloads.set(token.id, { token, bytes: own });
    return token;
  }

  async discard(token: PayloadToken): Promise<void> {
    if (this.#find(token) !== undefined) this.#payloads.delete(token.id);
  }

  async acquire(token: PayloadToken): Promise<PayloadLease | undefined> {
    this.#mustBeOpen();
    if (this.forgetful) this.#payloads.delete(token.id);
    const payload = this.#find(token);
    if (payload === undefined) return undefined;
    const lease = new CopiedLease(payload.token, new Uint8Array(payload.bytes), () => this.#leases.delete(lease));
    this.#leases.add(lease);
    return this.#isRevoked() ? revoked(lease) : lease;
  }

  async locate(token: PayloadToken): Promise<LocatedPayload | undefined> {
    const lease = await this.acquire(token);
    return lease && { path: `/memory/${token.id}`, offset: 0, release: () => lease.release() };
  }

  stats(): PayloadStoreStats {
    let bytes = 0;
    for (const { token } of this.#payloads.values()) bytes += token.length;
    return { payloads: this.#payloads.size, bytes, leases: this.#leases.size };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#payloads.clear();
    for (const lease of [...this.#leases]) lease.release();
  }

  #isRevoked(): boolean {
    const is = this.revokesNext;
    this.revokesNext = false;
    return is;
  }

  #find({
    store,
    id,
    length,
    hash,
  }: PayloadToken): { readonly token: PayloadToken; readonly bytes: Uint8Array } | undefined {
    const found = store === this.id ? this.#payloads.get(id) : undefined;
    return found !== undefined && found.token.length === length && found.token.hash === hash ? found : undefined;
  }

  #mustBeOpen(): void {
    if (this.#closed) throw payloadError("PAYLOAD-CLOSED", "the payload store is closed");
  }
}

/** As a reader sees a payload that was freed under it: other bytes, and the truth only from the lease. */
function revoked(lease: PayloadLease): PayloadLease {
  lease.bytes.fill(0xff);
  return {
    token: lease.token,
    get bytes() {
      return lease.bytes;
    },
    read: (use) => lease.read(use),
    isValid: () => false,
    release: () => {
      lease.release();
      return false;
    },
  };
}
