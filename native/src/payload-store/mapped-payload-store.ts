/**
 * Payloads by reference: written once into shared memory, read where they are by every process of the user on this machine,
 * through the addon (native/crates/lodge, whose rules P-R1 to P-R22 are the payload protocol). A lease costs the same for a
 * byte and for a gigabyte. Without the addon {@link openFilePayloadStore} does the same by copying.
 */
import type { LocatedPayload, PayloadFormat, PayloadStore, PayloadStoreStats, PayloadToken } from "@millrace/engine";
import { payloadError } from "@millrace/engine/worker";
import { type Lodge, type LodgeReservation, loadAddon } from "../addon.ts";
import { HeldLeases } from "./held-leases.ts";
import { MappedFiles } from "./mapped-files.ts";
import { MappedLease, type MappedPayloadLease, SmallLease } from "./mapped-lease.ts";

export interface MappedPayloadStoreOptions {
  /** Best on a memory file system; belongs to one user. Created with mode 0700; an existing one is made so. */
  readonly dir: string;
  /** Bytes of payloads that this process may hold. Default 256 MiB. */
  readonly bytesMax?: number;
  /** Bytes of payloads that this process may lease; beyond them its readers copy. Default: no limit. */
  readonly leasedBytesMax?: number;
  /** Bytes of the store's files, of all processes together; what is there is not taken back. Default: no limit. */
  readonly machineBytesMax?: number;
  /**
   * Payloads that this process may lease, and further references to payloads that it leases already; beyond them its readers copy.
   * Default 4096, 64 bytes of memory each.
   */
  readonly slots?: number | undefined;
  /** How long a process may stand still and keep its leases. Default 5000. */
  readonly leaseMs?: number | undefined;
}

/** Room in the store that is being filled. */
export interface PayloadReservation {
  /** Where the payload is to be written. Detached when it is published or given up. */
  readonly bytes: Uint8Array;
  /** Makes the payload readable. `undefined` when the bytes were moved away (`transfer`), or the store was closed. */
  publish(): PayloadToken | undefined;
  giveUp(): void;
}

export interface MappedPayloadStore extends PayloadStore {
  acquire(token: PayloadToken): Promise<MappedPayloadLease | undefined>;
  /** Pinned until it is released, also through the end of the process that reads it there. */
  locate(token: PayloadToken): Promise<LocatedPayload | undefined>;
  /**
   * Room for a payload that the caller writes in place, so that it is never copied. `undefined` when there is none.
   * @throws PAYLOAD-FAILED, PAYLOAD-CLOSED
   */
  reserve(length: number, format: PayloadFormat): PayloadReservation | undefined;
  /** What happens by itself four times per `leaseMs`: leases are renewed, what nobody holds is freed, the dead are cleaned up after. */
  sweep(): void;
}

const BYTES_MAX = 256 * 1024 * 1024;
const NO_LIMIT = 2 ** 52;
const SLOTS = 4096;
const LEASE_MS = 5000;

/** To copy less than this costs less than to map, look at and give back a page. */
const MAPPED_FROM_BYTES = 8 * 1024;

/** Of a checksum, in hexadecimal. */
const HASH_DIGITS = 16;

/** Numbers of the formats in the store's files. */
const FORMATS: readonly PayloadFormat[] = ["raw", "msgpack", "json", "npy", "arrow"];

/** Of a thread that only reads: a part of the store of its own, without room for payloads. */
const READER = { bytesMax: 1024 * 1024, slots: 512 };

/** What a worker thread of a process that has a mapped store in `dir` reads with. @throws PAYLOAD-FAILED */
export function openPayloadReader(dir: string): PayloadStore {
  return openMappedPayloadStore({ dir, ...READER });
}

/** @throws PAYLOAD-FAILED there is no addon, or the directory cannot be used */
export function openMappedPayloadStore(options: MappedPayloadStoreOptions): MappedPayloadStore {
  const { dir, bytesMax = BYTES_MAX, leasedBytesMax = NO_LIMIT, machineBytesMax = NO_LIMIT } = options;
  const { slots = SLOTS, leaseMs = LEASE_MS } = options;
  const addon = loadAddon();
  if (addon === undefined) throw payloadError("PAYLOAD-FAILED", "payloads by reference need the native addon");
  try {
    return new LodgeStore(new addon.Lodge(dir, { bytesMax, leasedBytesMax, machineBytesMax, slots, leaseMs }));
  } catch (error) {
    throw payloadError("PAYLOAD-FAILED", `cannot keep payloads in ${dir}`, { cause: error, details: { dir } });
  }
}

class LodgeStore implements MappedPayloadStore {
  readonly id: string;
  readonly #lodge: Lodge;
  readonly #files: MappedFiles;
  readonly #leases = new HeldLeases<MappedLease | SmallLease>((lease) => this.#remainsOf(lease));
  /** Leases on copies, which the addon does not know. */
  #copies = 0;
  #closed = false;
  readonly #detach: (buffer: ArrayBuffer) => void;

  constructor(lodge: Lodge) {
    this.#lodge = lodge;
    this.#files = new MappedFiles(lodge);
    this.#detach = (buffer) => lodge.detach(buffer);
    this.id = lodge.id();
  }

  async put(bytes: Uint8Array, format: PayloadFormat): Promise<PayloadToken | undefined> {
    const written = this.#tried("writing a payload failed", (lodge) => lodge.put(bytes, FORMATS.indexOf(format)));
    return written === null ? undefined : this.#token(written, format, bytes.length);
  }

  reserve(length: number, format: PayloadFormat): PayloadReservation | undefined {
    const reserve = (lodge: Lodge): LodgeReservation | null => lodge.reserve(length, FORMATS.indexOf(format));
    const reservation = this.#tried("reserving a payload failed", reserve);
    if (reservation === null) return undefined;
    return new Reservation(reservation, (written) => this.#token(written, format, length));
  }

  async discard({ store, id, format, length, hash }: PayloadToken): Promise<void> {
    if (store === this.id && !this.#closed) this.#lodge.discard(id, FORMATS.indexOf(format), length, hash);
  }

  async acquire(token: PayloadToken): Promise<MappedPayloadLease | undefined> {
    if (this.#closed) throw closedError();
    if (token.store !== this.id) return undefined;
    return token.length < MAPPED_FROM_BYTES ? this.#copied(token) : this.#mapped(token);
  }

  async locate(token: PayloadToken): Promise<LocatedPayload | undefined> {
    if (this.#closed) throw closedError();
    const lease = token.store === this.id ? this.#mapped(token) : undefined;
    if (lease === undefined) return undefined;
    const place = lease.pin() ? lease.place() : undefined;
    if (place !== undefined) return { ...place, release: () => lease.release() };
    lease.release();
    return undefined;
  }

  sweep(): void {
    if (!this.#closed) this.#lodge.sweep();
  }

  stats(): PayloadStoreStats {
    const { payloads, bytes, leases } = this.#lodge.stats();
    return { payloads, bytes, leases: leases + this.#copies };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#leases.releaseAll();
    this.#files.clear();
    this.#lodge.close();
  }

  /** What is to be done for a lease that the program forgot. */
  #remainsOf(lease: MappedLease | SmallLease): () => void {
    if (lease instanceof SmallLease) {
      return () => {
        this.#copies--;
      };
    }
    const number = lease.watched();
    return () => {
      if (!this.#closed) this.#lodge.release(number);
    };
  }

  #mapped(token: PayloadToken): MappedLease | undefined {
    const { id, format, length, hash } = token;
    const number = this.#tried("leasing a payload failed", (lodge) =>
      lodge.acquire(id, FORMATS.indexOf(format), length, hash),
    );
    if (number < 0) return undefined;
    const lease = new MappedLease(token, this.#lodge, number, this.#files, this.#leases);
    this.#leases.add(lease);
    return lease;
  }

  #copied(token: PayloadToken): SmallLease | undefined {
    const { id, format, length, hash } = token;
    if (!Number.isInteger(length) || length < 0) return undefined;
    const bytes = new Uint8Array(length);
    const isCopied = this.#tried("copying a payload failed", (lodge) =>
      lodge.copy(id, FORMATS.indexOf(format), hash, bytes),
    );
    if (!isCopied) return undefined;
    const released = (): void => {
      this.#copies--;
      this.#leases.delete(lease);
    };
    const lease = new SmallLease(token, bytes, released, this.#detach);
    this.#copies++;
    this.#leases.add(lease);
    return lease;
  }

  #token(written: string, format: PayloadFormat, length: number): PayloadToken {
    const end = written.length - HASH_DIGITS;
    return { store: this.id, id: written.slice(0, end - 1), format, length, hash: written.slice(end) };
  }

  #tried<T>(what: string, call: (lodge: Lodge) => T): T {
    if (this.#closed) throw closedError();
    try {
      return call(this.#lodge);
    } catch (error) {
      throw payloadError("PAYLOAD-FAILED", what, { cause: error });
    }
  }
}

const closedError = (): Error => payloadError("PAYLOAD-CLOSED", "the payload store is closed");

class Reservation implements PayloadReservation {
  readonly bytes: Uint8Array;
  readonly #reservation: LodgeReservation;
  readonly #buffer: ArrayBuffer;
  readonly #named: (written: string) => PayloadToken;

  constructor(reservation: LodgeReservation, named: (written: string) => PayloadToken) {
    this.#reservation = reservation;
    this.#named = named;
    this.#buffer = reservation.buffer();
    this.bytes = new Uint8Array(this.#buffer);
  }

  publish(): PayloadToken | undefined {
    const written = this.#reservation.publish(this.#buffer);
    return written === null ? undefined : this.#named(written);
  }

  giveUp(): void {
    this.#reservation.giveUp(this.#buffer);
  }
}
