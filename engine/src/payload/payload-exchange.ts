/**
 * Where the payloads of a host are. A message names a payload by its content ({@link PayloadReference}); the exchange has it
 * once in shared memory (the {@link PayloadStore}) for as long as something on this host needs it, and durably in the
 * {@link PayloadArchive} for as long as the log may name it.
 *
 * Needing is counted in holds, and every hold belongs to a scope (P-R19): a step in the making, a step on its way to the disk, a
 * frame that some lane has not durably passed (P-R15), a reader. With the last hold the shared memory is given back; the archive's
 * copy goes too when no event names it. What memory has lost or never had room for comes from the archive (P-R16, P-R18).
 */
import { CopiedLease } from "./copied-lease.ts";
import { contentHash, type PayloadArchive } from "./payload-archive.ts";
import { payloadError } from "./payload-errors.ts";
import { ALL_PAYLOAD_RULES, type PayloadRules } from "./payload-rules.ts";
import type { PayloadFormat, PayloadLease, PayloadPlace, PayloadStore, PayloadToken } from "./payload-store.ts";
import type { PayloadReference } from "./payload-value.ts";

export interface PayloadExchangeOptions {
  readonly store: PayloadStore;
  readonly archive: PayloadArchive;
  /** Whether readers map the store's bytes; where not, each opening is a copy and counted as one. Asked at each opening. */
  readonly isMapped: boolean;
  /** Default: all kept; simulations switch single ones off. */
  readonly rules?: PayloadRules;
}

/** Counters grow for as long as the host runs; bytes are those of payloads. */
export interface PayloadCounters {
  /** Payloads that were written into shared memory, and their bytes. */
  readonly puts: number;
  readonly putBytes: number;
  readonly opens: number;
  /** Openings that copied the bytes instead of mapping them. */
  readonly copies: number;
  readonly copiedBytes: number;
  /** Payloads that shared memory did not have any more and that came back from the archive. */
  readonly restores: number;
  /** Payloads that had to leave shared memory for others although something still needs them. */
  readonly evictions: number;
  /** Payloads for which there was no room: they are read from the archive. */
  readonly spills: number;
  readonly archivedBytes: number;
  /** In shared memory now, and at most so far. */
  readonly livePayloads: number;
  readonly liveBytes: number;
  readonly liveBytesMax: number;
  /** Uses that have not ended. */
  readonly holds: number;
}

/** A payload that is lent to a reader elsewhere: another thread by its token, another process by its place. */
export interface LentPayload {
  readonly reference: PayloadReference;
  /** Absent: there is no room in shared memory. */
  readonly token?: PayloadToken;
  readonly place: PayloadPlace;
  /** False: what was read may not have been the payload (P-R6). A second call does nothing. */
  release(): boolean;
}

/** Times that a payload is looked for in shared memory before it is read from the archive (P-R17). */
const ATTEMPTS_MAX = 2;

interface Entry {
  readonly reference: PayloadReference;
  holds: number;
  /** Those of them that read it now. */
  readers: number;
  token: PayloadToken | undefined;
  isArchived: boolean;
  /** An event names it. */
  isKept: boolean;
  /** An append of unknown outcome names it: only the next start can tell. */
  isUnsure: boolean;
  /** Changes of one payload are made one after the other. */
  work: Promise<unknown>;
}

/** Holds that end together. */
export class PayloadScope {
  readonly #exchange: PayloadExchange;
  #held: PayloadReference[] = [];

  constructor(exchange: PayloadExchange) {
    this.#exchange = exchange;
  }

  /** Takes over a hold that the caller has. */
  own(reference: PayloadReference): void {
    this.#held.push(reference);
  }

  end(): void {
    const held = this.#held;
    this.#held = [];
    for (const reference of held) this.#exchange.release(reference);
  }
}

export class PayloadExchange {
  readonly #store: PayloadStore;
  readonly #archive: PayloadArchive;
  readonly #options: PayloadExchangeOptions;
  readonly rules: PayloadRules;
  /** In the order of their first hold. */
  readonly #entries = new Map<string, Entry>();
  readonly #pending = new Set<Promise<unknown>>();
  readonly #counts = {
    puts: 0,
    putBytes: 0,
    opens: 0,
    copies: 0,
    copiedBytes: 0,
    restores: 0,
    evictions: 0,
    spills: 0,
  };
  #archivedBytes = 0;
  #live = 0;
  #liveBytes = 0;
  #liveBytesMax = 0;
  #holds = 0;
  #isUsed: boolean;

  constructor(options: PayloadExchangeOptions) {
    const { store, archive, rules = ALL_PAYLOAD_RULES } = options;
    this.#options = options;
    this.#store = store;
    this.#archive = archive;
    this.rules = rules;
    this.#isUsed = !archive.isEmpty;
  }

  /** False: no message of this host can name a payload, so that nobody need look for any. */
  get isUsed(): boolean {
    return this.#isUsed;
  }

  counters(): PayloadCounters {
    return {
      ...this.#counts,
      archivedBytes: this.#archivedBytes,
      livePayloads: this.#live,
      liveBytes: this.#liveBytes,
      liveBytesMax: this.#liveBytesMax,
      holds: this.#holds,
    };
  }

  scope(): PayloadScope {
    return new PayloadScope(this);
  }

  /**
   * Makes a payload durable and puts it into shared memory, once for each content. It is held by `scope`.
   *
   * @throws PAYLOAD-FAILED (transient) the archive cannot take it
   */
  async intern(bytes: Uint8Array, format: PayloadFormat, scope: PayloadScope): Promise<PayloadReference> {
    this.#isUsed = true;
    const reference = { sha256: contentHash(bytes), format, length: bytes.length };
    const entry = this.#entryOf(reference, false);
    this.#hold(entry);
    try {
      await this.#inTurn(entry, async () => {
        if (!entry.isArchived) {
          entry.isKept = !(await this.#archive.write(reference, bytes));
          entry.isArchived = true;
          if (!entry.isKept) this.#archivedBytes += bytes.length;
        }
        await this.#put(entry, bytes);
      });
    } catch (error) {
      this.release(reference);
      throw error;
    }
    if (this.rules["P-R19"]) scope.own(reference);
    return reference;
  }

  /** Holds a payload that a message names, until {@link release}. */
  retain(reference: PayloadReference): void {
    this.#hold(this.#entryOf(reference, true));
  }

  /** Ends a hold. `isUnsure`: an append that names it may or may not be in the log. */
  release(reference: PayloadReference, isUnsure = false): void {
    const entry = this.#entries.get(reference.sha256);
    if (entry === undefined || entry.holds === 0) return;
    entry.holds--;
    this.#holds--;
    entry.isUnsure ||= isUnsure;
    if (entry.holds === 0) this.#later(this.#inTurn(entry, () => this.#free(entry)));
  }

  /** An event that names them is durable. */
  keep(references: Iterable<PayloadReference>): void {
    for (const reference of references) {
      const entry = this.#entryOf(reference, true);
      if (entry.isKept) continue;
      entry.isKept = true;
      this.#later(this.#inTurn(entry, () => this.#archive.keep(reference)));
    }
  }

  /**
   * Opens a payload where it is. Release the lease after the last byte was used, and believe what was read only if that says so.
   *
   * @throws PAYLOAD-MISSING nobody has it any more
   */
  async open(reference: PayloadReference): Promise<PayloadLease> {
    const entry = this.#lendOf(reference);
    return this.#inTurn(entry, async () => {
      const lease = (await this.#acquire(entry)) ?? (await this.#spilled(entry));
      this.#counts.opens++;
      return new HeldLease(lease, () => this.#returned(entry));
    }).catch((error: unknown) => {
      this.#returned(entry);
      throw error;
    });
  }

  /** The same for a reader that maps or leases by itself. @throws PAYLOAD-MISSING */
  async lend(reference: PayloadReference): Promise<LentPayload> {
    const entry = this.#lendOf(reference);
    try {
      const [token, located] = await this.#inTurn(entry, () => this.#locate(entry));
      let isHeld = true;
      const release = (): boolean => {
        if (!isHeld) return false;
        isHeld = false;
        this.#returned(entry);
        return located?.release() ?? true;
      };
      const place = located ?? { path: this.#archive.pathOf(reference), offset: 0 };
      return { reference, place: { path: place.path, offset: place.offset }, release, ...(token && { token }) };
    } catch (error) {
      this.#returned(entry);
      throw error;
    }
  }

  /** What readers elsewhere did with what was lent to them. */
  note({
    opens,
    copies,
    copiedBytes,
  }: {
    readonly opens: number;
    readonly copies: number;
    readonly copiedBytes: number;
  }): void {
    this.#counts.opens += opens;
    this.#counts.copies += copies;
    this.#counts.copiedBytes += copiedBytes;
  }

  /** Resolves when everything that was let go so far is given back. */
  async settled(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all([...this.#pending]);
  }

  async close(): Promise<void> {
    await this.settled();
    await this.#store.close();
  }

  #entryOf(reference: PayloadReference, isNamed: boolean): Entry {
    const known = this.#entries.get(reference.sha256);
    if (known !== undefined) return known;
    // What a message names and nobody here made came from the log, or from a host that has it in its own.
    const entry: Entry = {
      reference,
      holds: 0,
      readers: 0,
      token: undefined,
      isArchived: isNamed,
      isKept: isNamed,
      isUnsure: false,
      work: Promise.resolve(),
    };
    this.#entries.set(reference.sha256, entry);
    this.#isUsed = true;
    return entry;
  }

  #hold(entry: Entry): void {
    entry.holds++;
    this.#holds++;
  }

  #lendOf(reference: PayloadReference): Entry {
    const entry = this.#entryOf(reference, true);
    this.#hold(entry);
    entry.readers++;
    return entry;
  }

  #returned(entry: Entry): void {
    entry.readers--;
    this.release(entry.reference);
  }

  #inTurn<T>(entry: Entry, change: () => Promise<T>): Promise<T> {
    const turn = entry.work.then(change);
    entry.work = turn.catch(() => undefined);
    return turn;
  }

  /** What fails here is tried again by the next start. */
  #later(work: Promise<unknown>): void {
    const done = work
      .catch(() => undefined)
      .then(() => {
        this.#pending.delete(done);
      });
    this.#pending.add(done);
  }

  async #free(entry: Entry): Promise<void> {
    if (entry.holds > 0) return;
    await this.#discard(entry);
    if (entry.isArchived && !entry.isKept && !entry.isUnsure) {
      await this.#archive.remove(entry.reference);
      entry.isArchived = false;
    }
    if (entry.holds === 0) this.#entries.delete(entry.reference.sha256);
  }

  async #discard(entry: Entry): Promise<void> {
    const { token } = entry;
    if (token === undefined) return;
    entry.token = undefined;
    this.#live--;
    this.#liveBytes -= token.length;
    await this.#store.discard(token);
  }

  /** Puts the bytes unless they are there. Without room the oldest payloads that nobody reads make some (P-R18). */
  async #put(entry: Entry, bytes: Uint8Array): Promise<void> {
    if (entry.token !== undefined) return;
    let token = await this.#store.put(bytes, entry.reference.format);
    for (const other of this.#entries.values()) {
      if (token !== undefined) break;
      if (other === entry || other.token === undefined || other.readers > 0) continue;
      await this.#discard(other);
      this.#counts.evictions++;
      token = await this.#store.put(bytes, entry.reference.format);
    }
    if (token === undefined) {
      this.#counts.spills++;
      return;
    }
    entry.token = token;
    this.#counts.puts++;
    this.#counts.putBytes += bytes.length;
    this.#live++;
    this.#liveBytes += bytes.length;
    this.#liveBytesMax = Math.max(this.#liveBytesMax, this.#liveBytes);
  }

  /** A lease in shared memory; a token that does not resolve is replaced from the archive, once (P-R16, P-R17). */
  async #acquire(entry: Entry): Promise<PayloadLease | undefined> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX || !this.rules["P-R17"]; attempt++) {
      if (!(await this.#isInMemory(entry))) return undefined;
      const lease = await this.#store.acquire(entry.token as PayloadToken);
      if (lease !== undefined) {
        if (!this.#options.isMapped) this.#countCopy(entry);
        return lease;
      }
      if (!this.rules["P-R16"]) throw this.#missing(entry);
      await this.#discard(entry);
    }
    return undefined;
  }

  /** The token and, where the store has one, the place of a payload in memory. */
  async #locate(entry: Entry): Promise<[PayloadToken?, (PayloadPlace & { release(): boolean })?]> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX || !this.rules["P-R17"]; attempt++) {
      if (!(await this.#isInMemory(entry))) return [];
      const token = entry.token as PayloadToken;
      const located = await this.#store.locate?.(token);
      if (located !== undefined) return [token, located];
      if (this.#store.locate === undefined) break;
      if (!this.rules["P-R16"]) throw this.#missing(entry);
      await this.#discard(entry);
    }
    if (await this.#archive.has(entry.reference)) return [];
    throw this.#missing(entry);
  }

  /** Brings it back from the archive if need be. False: there is no room. @throws PAYLOAD-MISSING */
  async #isInMemory(entry: Entry): Promise<boolean> {
    if (entry.token !== undefined) return true;
    const bytes = await this.#archive.read(entry.reference);
    if (bytes === undefined) throw this.#missing(entry);
    await this.#put(entry, bytes);
    if (entry.token !== undefined) this.#counts.restores++;
    return entry.token !== undefined;
  }

  async #spilled(entry: Entry): Promise<PayloadLease> {
    const { reference } = entry;
    const bytes = await this.#archive.read(reference);
    if (bytes === undefined) throw this.#missing(entry);
    this.#countCopy(entry);
    const token = {
      store: "archive",
      id: reference.sha256,
      format: reference.format,
      length: bytes.length,
      hash: reference.sha256,
    };
    return new CopiedLease(token, bytes, () => undefined);
  }

  #countCopy(entry: Entry): void {
    this.#counts.copies++;
    this.#counts.copiedBytes += entry.reference.length;
  }

  #missing({ reference }: Entry): Error {
    const { sha256, length } = reference;
    const place = { file: this.#archive.pathOf(reference) };
    const message = `payload ${sha256} of ${length} bytes is neither in shared memory nor, whole, in the archive`;
    return payloadError("PAYLOAD-MISSING", message, { place, details: { sha256, length } });
  }
}

/** A lease that ends a hold with itself. */
class HeldLease implements PayloadLease {
  readonly #lease: PayloadLease;
  readonly #returned: () => void;
  #isHeld = true;

  constructor(lease: PayloadLease, returned: () => void) {
    this.#lease = lease;
    this.#returned = returned;
  }

  get token(): PayloadToken {
    return this.#lease.token;
  }

  get bytes(): Uint8Array {
    return this.#lease.bytes;
  }

  isValid(): boolean {
    return this.#lease.isValid();
  }

  release(): boolean {
    if (!this.#isHeld) return false;
    this.#isHeld = false;
    const wasValid = this.#lease.release();
    this.#returned();
    return wasValid;
  }
}
