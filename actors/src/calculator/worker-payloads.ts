/** The payloads of a batch inside of a worker: opened where they are, given back when their row is done. */
import { open } from "node:fs/promises";
import type { Json, LentPayload, PayloadFormat, PayloadLease, PayloadStore } from "@millrace/engine";
import { isFormat, payloadError, payloadOf } from "@millrace/engine/worker";
import type { OpenedPayload, PayloadContext, PlacedPayload } from "./calculator-module.ts";
import {
  type PayloadDraft,
  type PayloadUse,
  payloadDraft,
  placesOf,
  type ReaderModule,
} from "./calculator-payloads.ts";
import { PayloadResult } from "./calculator-result.ts";

/** A lent payload as plain data. */
export type LentToWorker = Pick<LentPayload, "reference" | "token" | "place">;

export class WorkerPayloads {
  readonly #module: ReaderModule | null;
  #reader: Promise<PayloadStore | undefined> | undefined;
  #lent: ReadonlyMap<string, LentToWorker> = new Map();
  #places: Readonly<Record<string, PlacedPayload>> = {};
  #leases: PayloadLease[] = [];
  #use = { opens: 0, copies: 0, copiedBytes: 0, isLost: false };

  /** Without a module that reads the store, or where it cannot be read so, files are read. */
  constructor(module: ReaderModule | null) {
    this.#module = module;
  }

  begin(lent: readonly LentToWorker[]): void {
    this.#lent = new Map(lent.map((one) => [one.reference.sha256, one]));
    this.#places = placesOf(lent);
    this.#use = { opens: 0, copies: 0, copiedBytes: 0, isLost: false };
  }

  /** What the code of a row is given. */
  get context(): PayloadContext {
    const { open, payload, places, opened } = this;
    return { open, payload, places, opened };
  }

  get use(): PayloadUse {
    return this.#use;
  }

  readonly open = async (value: Json): Promise<OpenedPayload> => {
    const payload = payloadOf(value);
    if (payload === undefined) throw payloadError("PAYLOAD-VALUE", "the value that was to be opened is no payload");
    if ("bytes" in payload) return payload;
    const lent = this.#lent.get(payload.sha256);
    if (lent === undefined) throw payloadError("PAYLOAD-VALUE", "only payloads of the row can be opened");
    const lease = lent.token && (await (await this.#store())?.acquire(lent.token));
    const bytes = lease?.bytes ?? (await this.#copy(lent));
    if (lease !== undefined) this.#leases.push(lease);
    this.#use.opens++;
    return { bytes, format: payload.format };
  };

  readonly payload = (bytes: Uint8Array, format: PayloadFormat = "raw"): PayloadResult => {
    if (!(bytes instanceof Uint8Array)) throw payloadError("PAYLOAD-VALUE", "a payload is made of a Uint8Array");
    if (!isFormat(format)) throw payloadError("PAYLOAD-VALUE", `${String(format)} is no format of payloads`);
    mustBeThere(bytes);
    return new PayloadResult(bytes, format);
  };

  readonly places = (): Readonly<Record<string, PlacedPayload>> => this.#places;

  readonly opened = (n: number): void => {
    this.#use.opens += n;
  };

  /**
   * Bytes of a result on their way out of the thread: their own memory if they were given away and it is theirs alone. Else a copy: the
   * code may keep what it returned, and return it again.
   */
  readonly leaving =
    (transfer: Set<ArrayBuffer>) =>
    (bytes: Uint8Array, format: PayloadFormat, isGiven: boolean): PayloadDraft => {
      mustBeThere(bytes);
      const left = isGiven && this.#isAlone(bytes) ? bytes : new Uint8Array(bytes);
      transfer.add(left.buffer as ArrayBuffer);
      return payloadDraft(left, format);
    };

  /** Everything that the row opened is given back. */
  endRow(): void {
    for (const lease of this.#leases.splice(0)) if (!lease.release()) this.#use.isLost = true;
  }

  /** Opened with the first payload: most calculators never see one. */
  #store(): Promise<PayloadStore | undefined> {
    const open = async ({ url, directory }: ReaderModule): Promise<PayloadStore> => {
      const { openPayloadReader } = (await import(url)) as { openPayloadReader(dir: string): PayloadStore };
      return openPayloadReader(directory);
    };
    this.#reader ??= this.#module === null ? Promise.resolve(undefined) : open(this.#module).catch(() => undefined);
    return this.#reader;
  }

  /** Its buffer holds nothing else, and is nobody else's. */
  #isAlone({ buffer, length }: Uint8Array): boolean {
    const isLent = this.#leases.some((lease) => lease.isValid() && lease.bytes.buffer === buffer);
    return buffer instanceof ArrayBuffer && buffer.byteLength === length && !isLent;
  }

  async #copy({ reference: { length }, place }: LentToWorker): Promise<Uint8Array> {
    const file = await open(place.path, "r");
    try {
      const bytes = new Uint8Array(length);
      for (let at = 0; at < length; ) {
        const { bytesRead } = await file.read(bytes, at, length - at, place.offset + at);
        if (bytesRead === 0) throw payloadError("PAYLOAD-MISSING", `${place.path} ends before the payload does`);
        at += bytesRead;
      }
      this.#use.copies++;
      this.#use.copiedBytes += length;
      return bytes;
    } finally {
      await file.close();
    }
  }
}

/** @throws PAYLOAD-VALUE they are gone with a result that they were given to */
function mustBeThere({ buffer, length }: Uint8Array): void {
  if (length > 0) return;
  try {
    // Nothing else tells a buffer that was moved away from an empty one before Node 22.
    new Uint8Array(buffer);
  } catch {
    throw payloadError("PAYLOAD-VALUE", "the bytes went away with an earlier result that they were given to");
  }
}
