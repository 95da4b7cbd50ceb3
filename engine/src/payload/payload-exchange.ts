/**
 * Where the payloads of a host are. A message names a payload by its content ({@link PayloadReference}); the exchange has it
 * once in shared memory (the {@link PayloadStore}) for as long as something on this host needs it, and durably in the
 * {@link PayloadArchive} for as long as the log may name it.
 *
 * Needing is counted in holds, and every hold belongs to a scope (P-R19): a step in the making, a step on its way to the disk, a
 * frame that some lane has not durably passed (P-R15), a reader. With the last hold the shared memory is given back; the archive's
 * copy goes too when no event names it. What memory has lost or never had room for comes from the archive (P-R16, P-R18).
 */
import { HeldLease } from "./held-lease.ts";
import { contentHash, type ForgottenPayloads, type PayloadArchive } from "./payload-archive.ts";
import { type PayloadCounters, PayloadCounts } from "./payload-counts.ts";
import { inTurn, newEntry, type PayloadEntry } from "./payload-entry.ts";
import { ALL_PAYLOAD_RULES, type PayloadRules } from "./payload-rules.ts";
import { PayloadScope } from "./payload-scope.ts";
import type { PayloadFormat, PayloadLease, PayloadPlace, PayloadStore, PayloadToken } from "./payload-store.ts";
import type { PayloadReference } from "./payload-value.ts";
import { ResidentPayloads } from "./resident-payloads.ts";
import { UnsureContents } from "./unsure-contents.ts";

export interface PayloadExchangeOptions {
  readonly store: PayloadStore;
  readonly archive: PayloadArchive;
  /** Whether readers map the store's bytes; where not, each opening is a copy and counted as one. Asked at each opening. */
  readonly isMapped: boolean;
  /** Default: all kept; simulations switch single ones off. */
  readonly rules?: PayloadRules;
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

export class PayloadExchange {
  readonly #store: PayloadStore;
  readonly #archive: PayloadArchive;
  readonly #resident: ResidentPayloads;
  readonly rules: PayloadRules;
  /** In the order of their first hold. */
  readonly #entries = new Map<string, PayloadEntry>();
  readonly #pending = new Set<Promise<unknown>>();
  readonly #counts = new PayloadCounts();
  #isUsed: boolean;
  readonly #unsure = new UnsureContents();
  /** What was used since a prune began to look for what nothing names. */
  #usedMeanwhile: Set<string> | undefined;
  /** Removals on their way, by content: what is used again waits for them and is written anew. */
  readonly #removals = new Map<string, Promise<unknown>>();

  constructor(options: PayloadExchangeOptions) {
    const { store, archive, rules = ALL_PAYLOAD_RULES } = options;
    this.#store = store;
    this.#archive = archive;
    this.rules = rules;
    const isMapped = (): boolean => options.isMapped;
    this.#resident = new ResidentPayloads({
      store,
      archive,
      isMapped,
      rules,
      counts: this.#counts,
      entries: this.#entries,
    });
    this.#isUsed = !archive.isEmpty;
  }

  /** False: no message of this host can name a payload, so that nobody need look for any. */
  get isUsed(): boolean {
    return this.#isUsed;
  }

  counters(): PayloadCounters {
    return this.#counts.counters();
  }

  scope(): PayloadScope {
    return new PayloadScope((reference) => this.release(reference));
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
      await inTurn(entry, async () => {
        if (!entry.isArchived) {
          entry.isKept = !(await this.#archive.write(reference, bytes));
          entry.isArchived = true;
          if (!entry.isKept) this.#counts.archivedBytes += bytes.length;
        }
        await this.#resident.put(entry, bytes);
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
    this.#counts.holds--;
    entry.isUnsure ||= isUnsure;
    if (isUnsure) this.#unsure.add(reference.sha256);
    if (entry.holds === 0) this.#later(inTurn(entry, () => this.#free(entry)));
  }

  /** An event that names them is durable. */
  keep(references: Iterable<PayloadReference>): void {
    for (const reference of references) {
      const entry = this.#entryOf(reference, true);
      if (entry.isKept) continue;
      entry.isKept = true;
      this.#later(inTurn(entry, () => this.#archive.keep(reference)));
    }
  }

  /**
   * Opens a payload where it is. Release the lease after the last byte was used, and believe what was read only if that says so.
   *
   * @throws PAYLOAD-MISSING nobody has it any more
   */
  async open(reference: PayloadReference): Promise<PayloadLease> {
    const entry = this.#lendOf(reference);
    return inTurn(entry, async () => {
      const lease = await this.#resident.lease(entry);
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
      const [token, located] = await inTurn(entry, () => this.#resident.locate(entry));
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

  /** As {@link PayloadArchive.stage}. */
  stage(hashes: Iterable<string>): Promise<readonly string[]> {
    return this.#archive.stage(hashes);
  }

  /** As {@link PayloadArchive.forget}, beside whatever uses payloads: what anybody here uses stays. One at a time. */
  async forget(staged: readonly string[]): Promise<ForgottenPayloads> {
    const used = new Set(this.#entries.keys());
    this.#usedMeanwhile = used;
    const isNeeded = (sha256: string): boolean => used.has(sha256) || this.#unsure.has(sha256);
    try {
      return await this.#archive.forget(staged, async (sha256) => (isNeeded(sha256) ? undefined : this.#take(sha256)));
    } finally {
      this.#usedMeanwhile = undefined;
    }
  }

  /** Resolves when everything that was let go so far is given back. */
  async settled(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all([...this.#pending]);
  }

  async close(): Promise<void> {
    await this.settled();
    await this.#store.close();
  }

  #entryOf(reference: PayloadReference, isNamed: boolean): PayloadEntry {
    const known = this.#entries.get(reference.sha256);
    if (known !== undefined) return known;
    this.#usedMeanwhile?.add(reference.sha256);
    const removal = this.#removals.get(reference.sha256);
    const entry = newEntry(reference, isNamed && removal === undefined);
    if (removal !== undefined) entry.work = removal.catch(() => undefined);
    this.#entries.set(reference.sha256, entry);
    this.#isUsed = true;
    return entry;
  }

  async #take(sha256: string): Promise<number | undefined> {
    const removal = this.#archive.take(sha256);
    this.#removals.set(sha256, removal);
    try {
      return await removal;
    } finally {
      this.#removals.delete(sha256);
    }
  }

  #hold(entry: PayloadEntry): void {
    entry.holds++;
    this.#counts.holds++;
  }

  #lendOf(reference: PayloadReference): PayloadEntry {
    const entry = this.#entryOf(reference, true);
    this.#hold(entry);
    entry.readers++;
    return entry;
  }

  #returned(entry: PayloadEntry): void {
    entry.readers--;
    this.release(entry.reference);
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

  async #free(entry: PayloadEntry): Promise<void> {
    if (entry.holds > 0) return;
    await this.#resident.discard(entry);
    if (entry.isArchived && !entry.isKept && !entry.isUnsure) {
      await this.#archive.remove(entry.reference);
      entry.isArchived = false;
    }
    if (entry.holds === 0) this.#entries.delete(entry.reference.sha256);
  }
}
