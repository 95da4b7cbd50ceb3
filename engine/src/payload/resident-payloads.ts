/**
 * Which payloads are in shared memory, and how one comes back that is not. Without room the oldest that nobody reads leave (P-R18); a
 * token that does not resolve is replaced from the archive, once (P-R16, P-R17); what finds no room is read from there.
 */
import { CopiedLease } from "./copied-lease.ts";
import type { PayloadArchive } from "./payload-archive.ts";
import type { PayloadCounts } from "./payload-counts.ts";
import type { PayloadEntry } from "./payload-entry.ts";
import { payloadError } from "./payload-errors.ts";
import type { PayloadRules } from "./payload-rules.ts";
import type { LocatedPayload, PayloadLease, PayloadStore, PayloadToken } from "./payload-store.ts";

export interface ResidentPayloadsOptions {
  readonly store: PayloadStore;
  readonly archive: PayloadArchive;
  readonly isMapped: () => boolean;
  readonly rules: PayloadRules;
  readonly counts: PayloadCounts;
  /** All of the host, oldest first. */
  readonly entries: ReadonlyMap<string, PayloadEntry>;
}

/** Times that a payload is looked for in shared memory before it is read from the archive (P-R17). */
const ATTEMPTS_MAX = 2;

export class ResidentPayloads {
  readonly #store: PayloadStore;
  readonly #archive: PayloadArchive;
  readonly #options: ResidentPayloadsOptions;
  readonly #counts: PayloadCounts;

  constructor(options: ResidentPayloadsOptions) {
    this.#options = options;
    this.#store = options.store;
    this.#archive = options.archive;
    this.#counts = options.counts;
  }

  /** Puts the bytes unless they are there. */
  async put(entry: PayloadEntry, bytes: Uint8Array): Promise<void> {
    if (entry.token !== undefined) return;
    let token = await this.#store.put(bytes, entry.reference.format);
    // Off: room is waited for, which whoever has it may only give back once this is done.
    while (token === undefined && !this.#options.rules["P-R18"])
      token = await this.#store.put(bytes, entry.reference.format);
    for (const other of this.#options.entries.values()) {
      if (token !== undefined) break;
      if (other === entry || other.token === undefined || other.readers > 0) continue;
      await this.discard(other);
      this.#counts.evictions++;
      token = await this.#store.put(bytes, entry.reference.format);
    }
    if (token === undefined) {
      this.#counts.spills++;
      return;
    }
    entry.token = token;
    this.#counts.put(bytes.length);
  }

  async discard(entry: PayloadEntry): Promise<void> {
    const { token } = entry;
    if (token === undefined) return;
    entry.token = undefined;
    this.#counts.discarded(token.length);
    await this.#store.discard(token);
  }

  /** @throws PAYLOAD-MISSING nobody has it any more */
  async lease(entry: PayloadEntry): Promise<PayloadLease> {
    return (await this.#acquire(entry)) ?? this.#spilled(entry);
  }

  /** The token and, where the store has one, the place of a payload in memory. @throws PAYLOAD-MISSING */
  async locate(entry: PayloadEntry): Promise<[PayloadToken?, LocatedPayload?]> {
    const { rules } = this.#options;
    for (let attempt = 0; attempt < ATTEMPTS_MAX || !rules["P-R17"]; attempt++) {
      if (!(await this.#isInMemory(entry))) return [];
      const token = entry.token as PayloadToken;
      const located = await this.#store.locate?.(token);
      if (located !== undefined) return [token, located];
      if (this.#store.locate === undefined) break;
      if (!rules["P-R16"]) throw this.#missing(entry);
      await this.discard(entry);
    }
    if (await this.#archive.has(entry.reference)) return [];
    throw this.#missing(entry);
  }

  async #acquire(entry: PayloadEntry): Promise<PayloadLease | undefined> {
    const { rules, isMapped } = this.#options;
    for (let attempt = 0; attempt < ATTEMPTS_MAX || !rules["P-R17"]; attempt++) {
      if (!(await this.#isInMemory(entry))) return undefined;
      const lease = await this.#store.acquire(entry.token as PayloadToken);
      if (lease !== undefined) {
        if (!isMapped()) this.#counts.copied(entry.reference.length);
        return lease;
      }
      if (!rules["P-R16"]) throw this.#missing(entry);
      await this.discard(entry);
    }
    return undefined;
  }

  /** Brings it back from the archive if need be. False: there is no room. @throws PAYLOAD-MISSING */
  async #isInMemory(entry: PayloadEntry): Promise<boolean> {
    if (entry.token !== undefined) return true;
    const bytes = await this.#archive.read(entry.reference);
    if (bytes === undefined) throw this.#missing(entry);
    await this.put(entry, bytes);
    if (entry.token !== undefined) this.#counts.restores++;
    return entry.token !== undefined;
  }

  async #spilled(entry: PayloadEntry): Promise<PayloadLease> {
    const { reference } = entry;
    const bytes = await this.#archive.read(reference);
    if (bytes === undefined) throw this.#missing(entry);
    this.#counts.copied(reference.length);
    const { sha256, format } = reference;
    const token = { store: "archive", id: sha256, format, length: bytes.length, hash: sha256 };
    return new CopiedLease(token, bytes, () => undefined);
  }

  #missing({ reference }: PayloadEntry): Error {
    const { sha256, length } = reference;
    const place = { file: this.#archive.pathOf(reference) };
    const message = `payload ${sha256} of ${length} bytes is neither in shared memory nor, whole, in the archive`;
    return payloadError("PAYLOAD-MISSING", message, { place, details: { sha256, length } });
  }
}
