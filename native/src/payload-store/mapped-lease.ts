import type { PayloadLease, PayloadPlace, PayloadToken } from "@millrace/engine";
import { CopiedLease, payloadError } from "@millrace/engine/worker";
import type { Lodge } from "../addon.ts";
import type { HeldLeases } from "./held-leases.ts";
import type { MappedFiles } from "./mapped-files.ts";

/** A lease whose bytes are the store's own memory. */
export interface MappedPayloadLease extends PayloadLease {
  /**
   * Keeps the bytes as they are until {@link unpin}, whatever happens, for code that checks first and reads then: native
   * code, other processes. A process that stops with a pin is killed. False when the lease is lost.
   */
  pin(): boolean;
  unpin(): void;
  /** File and offset of the bytes, for a process that maps them by itself; pin first. `undefined` for a lease on a copy. */
  place(): PayloadPlace | undefined;
}

/** On a copy: nothing can take it away, and nobody else can map it. */
export class SmallLease extends CopiedLease implements MappedPayloadLease {
  pin(): boolean {
    return this.isValid();
  }

  unpin(): void {
    // Nothing was pinned.
  }

  place(): undefined {
    return undefined;
  }
}

/** Whoever has the bytes of a lease has the lease. */
const LEASES = new WeakMap<ArrayBuffer, MappedLease>();

export class MappedLease implements MappedPayloadLease {
  readonly token: PayloadToken;
  readonly #lodge: Lodge;
  readonly #number: number;
  readonly #files: MappedFiles;
  readonly #held: HeldLeases<MappedLease | SmallLease>;
  #isWatched = false;
  #buffer: ArrayBuffer | undefined;
  #bytes: Uint8Array | undefined;
  #state: "held" | "lost" | "released" = "held";

  constructor(
    token: PayloadToken,
    lodge: Lodge,
    number: number,
    files: MappedFiles,
    held: HeldLeases<MappedLease | SmallLease>,
  ) {
    this.token = token;
    this.#lodge = lodge;
    this.#number = number;
    this.#files = files;
    this.#held = held;
  }

  get bytes(): Uint8Array {
    if (this.#bytes !== undefined) return this.#bytes;
    this.#mustBeHeld();
    this.#buffer = this.#lodge.buffer(this.#number);
    this.#bytes = new Uint8Array(this.#buffer);
    if (this.#isWatched) LEASES.set(this.#buffer, this);
    return this.#bytes;
  }

  read<T>(use: (bytes: Uint8Array) => T): T {
    if (this.#bytes !== undefined) return use(this.#bytes);
    this.#mustBeHeld();
    return use(this.#files.view(this.#number, this.token.length) ?? this.bytes);
  }

  /** Its store does not keep it any more. Gives the number to release it by when it is gone. */
  watched(): number {
    this.#isWatched = true;
    if (this.#buffer !== undefined) LEASES.set(this.#buffer, this);
    return this.#number;
  }

  isValid(): boolean {
    if (this.#state !== "held") return false;
    if (this.#lodge.isValid(this.#number)) return true;
    this.#end("lost");
    return false;
  }

  release(): boolean {
    return this.#state === "held" && this.#end("released");
  }

  pin(): boolean {
    return this.#state === "held" && this.#lodge.pin(this.#number);
  }

  unpin(): void {
    if (this.#state === "held") this.#lodge.unpin(this.#number);
  }

  place(): PayloadPlace | undefined {
    return (this.#state === "held" ? this.#lodge.place(this.#number) : null) ?? undefined;
  }

  #mustBeHeld(): void {
    const { id } = this.token;
    if (this.#state === "lost") throw payloadError("PAYLOAD-LEASE-LOST", `the lease on payload ${id} was revoked`);
    if (this.#state === "released") throw payloadError("PAYLOAD-RELEASED", `the lease on payload ${id} was released`);
  }

  #end(state: "lost" | "released"): boolean {
    const wasValid = this.#lodge.release(this.#number, this.#buffer);
    this.#state = state;
    this.#buffer = undefined;
    this.#bytes = undefined;
    this.#held.delete(this);
    return wasValid;
  }
}
