/**
 * The keys of subjects: one file of slots of fixed size beside the log, never in it. A key is durable before the first value that
 * is sealed under it may be appended; to erase a subject is to write the file anew without its key and to wipe the one before.
 *
 * The file holds no names: a subject is found by its HMAC under a secret of the file. What a crash leaves of it is read as it is
 * ({@link slotsOf}).
 */
import { createHmac } from "node:crypto";
import { type Disk, type DiskFile, errnoOf } from "../disk/disk.ts";
import type { Json } from "../frame/json.ts";
import {
  HEADER_BYTES,
  headerBytes,
  ID_BYTES,
  type KeySlot,
  pageEnd,
  SLOT_BYTES,
  secretOf,
  slotBytes,
  slotsOf,
} from "./key-slots.ts";
import { personalError } from "./personal-errors.ts";
import { type Revelation, Revelations } from "./revelations.ts";
import { type KnownKey, revealValues, type SubjectKey } from "./sealed-value.ts";

export interface SubjectKeysOptions {
  readonly disk: Disk;
  /** Absolute; created with the first key. */
  readonly directory: string;
  /** So many bytes from a generator that is fit for keys. */
  readonly randomBytes: (length: number) => Uint8Array;
}

/** What is known of a subject. */
export interface SubjectState {
  /** Id of its key; stays when the key is gone. */
  readonly key: string;
  /** 64 hex digits: HMAC-SHA-256 of the subject under the secret of this key file. */
  readonly hash: string;
  readonly isErased: boolean;
}

const NAME = "subjects.keys";
const COMPACT_FROM_BYTES = 1 << 20;
const SECRET_BYTES = 32;
const KEY_BYTES = 64;

export class SubjectKeys {
  readonly #options: SubjectKeysOptions;
  readonly #byHash = new Map<string, KeySlot>();
  readonly #byId = new Map<string, KeySlot>();
  #file: DiskFile | undefined;
  #secret: Buffer | undefined;
  #end = HEADER_BYTES;
  /** A sync failed: what a power cut would leave is unknown. */
  #isInDoubt = false;
  readonly #revelations = new Revelations((id) => this.key(id));
  /** Changes of the file are made one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(options: SubjectKeysOptions) {
    this.#options = options;
  }

  /** One process at a time: whoever has the lock of the log beside it. @throws PERSONAL-KEYS */
  static async open(options: SubjectKeysOptions): Promise<SubjectKeys> {
    const keys = new SubjectKeys(options);
    await keys.#tried("the key file cannot be opened", async () => {
      await keys.#dropDraft();
      if ((await options.disk.stat(keys.#path)) !== undefined) await keys.#load();
    });
    return keys;
  }

  /** Nothing was ever sealed here. */
  get isEmpty(): boolean {
    return this.#byId.size === 0;
  }

  /** Makes keys for the subjects that have none yet; they are durable when it resolves. @throws PERSONAL-KEYS */
  ensure(subjects: Iterable<string>): Promise<void> {
    const all = new Set(subjects);
    return this.#inTurn("a key cannot be written", async () => {
      if (this.#secret === undefined && all.size > 0) await this.#replace([]);
      const fresh = [...all].filter((subject) => this.find(subject) === undefined);
      if (fresh.length === 0) return;
      const slots = fresh.map((subject) => this.#newSlot(subject));
      await this.#append(Buffer.concat(slots.map(slotBytes)));
      for (const slot of slots) this.#keep(slot);
    });
  }

  find(subject: string): SubjectState | undefined {
    if (this.#secret === undefined) return undefined;
    const slot = this.#byHash.get(this.#hashOf(subject));
    return slot === undefined ? undefined : stateOf(slot);
  }

  /** Subjects whose keys were destroyed. */
  erased(): readonly SubjectState[] {
    return [...this.#byId.values()].filter(({ bytes }) => bytes === undefined).map(stateOf);
  }

  /** What values of a subject are sealed under. */
  keyOf(subject: string): KnownKey {
    const state = this.find(subject);
    return state === undefined ? undefined : this.key(state.key);
  }

  key(id: string): KnownKey {
    const slot = this.#byId.get(id);
    if (slot === undefined) return undefined;
    return slot.bytes === undefined ? "erased" : ({ id, bytes: slot.bytes } satisfies SubjectKey);
  }

  /** Opens what can be opened and marks the rest; see {@link revealValues}. */
  readonly reveal = (value: Json): Json => (this.isEmpty ? value : revealValues(value, (id) => this.key(id)));

  /** For a delivery to the outside, which {@link delivered} waits for. */
  readonly revelation = (): Revelation => this.#revelations.begin();

  /** Resolves when no delivery that has opened values under this key goes on. */
  delivered(id: string): Promise<void> {
    return this.#revelations.ended(id);
  }

  /**
   * Destroys a key, on the medium and then in memory, before it resolves. Readers have the key until the file without it is durable:
   * when it rejects before that, nothing has changed and it may be called again. Idempotent. What the medium, its file system or a
   * backup keeps of the sector as it was before is out of reach.
   *
   * @throws PERSONAL-KEYS, PERSONAL-UNKNOWN
   */
  async destroy(id: string): Promise<SubjectState> {
    const known = this.#byId.get(id);
    if (known === undefined) throw personalError("PERSONAL-UNKNOWN", `there is no key ${id}`);
    const erased: KeySlot = { ...known, bytes: undefined };
    await this.#inTurn("a key cannot be destroyed", async () => {
      const before = await this.#replace([...this.#byId.values()].map((slot) => (slot.id === id ? erased : slot)));
      this.#keep(erased);
      known.bytes?.fill(0);
      await wipe(before);
    });
    return stateOf(erased);
  }

  async close(): Promise<void> {
    await this.#turn.catch(() => undefined);
    await this.#file?.close();
    this.#file = undefined;
  }

  get #path(): string {
    return `${this.#options.directory}/${NAME}`;
  }

  get #draft(): string {
    return `${this.#path}.draft`;
  }

  /**
   * Writes the file anew with these slots, durably, and returns the one before, which is in no directory any more. It is to be wiped:
   * the blocks that it leaves to the file system are then those of a wiped file, unless a power cut comes just between.
   */
  async #replace(slots: readonly KeySlot[]): Promise<DiskFile | undefined> {
    const { disk, directory, randomBytes } = this.#options;
    if (this.#secret === undefined) {
      await disk.makeDirectory(directory);
      await disk.syncDirectory(directory.slice(0, directory.lastIndexOf("/")));
    }
    await this.#dropDraft();
    const secret = this.#secret ?? Buffer.from(randomBytes(SECRET_BYTES));
    const draft = await disk.open(this.#draft, { mode: "create" });
    try {
      await writeAll(draft, Buffer.concat([headerBytes(secret), ...slots.map(slotBytes)]), 0);
      await draft.sync();
      await disk.rename(this.#draft, this.#path);
      await this.#settled(() => disk.syncDirectory(directory));
    } catch (thrown) {
      await draft.close();
      throw thrown;
    }
    const before = this.#file;
    this.#file = draft;
    this.#secret = secret;
    this.#end = pageEnd(HEADER_BYTES + slots.length * SLOT_BYTES);
    return before;
  }

  /** Of a sync that fails nobody knows what it left, and a second one would not tell: from then on nothing is changed here. */
  async #settled(sync: () => Promise<void>): Promise<void> {
    this.#isInDoubt = true;
    await sync();
    this.#isInDoubt = false;
  }

  /** What a crash or a failure left of a new file holds keys that may be destroyed by now. */
  async #dropDraft(): Promise<void> {
    const { disk, directory } = this.#options;
    if ((await disk.stat(this.#draft)) === undefined) return;
    await wipe(await disk.open(this.#draft, { mode: "write" }));
    await disk.unlink(this.#draft);
    await disk.syncDirectory(directory);
  }

  async #load(): Promise<void> {
    const file = await this.#options.disk.open(this.#path, { mode: "write" });
    this.#file = file;
    // What a power cut left of the last append may be on the page cache only: it counts from here on.
    await file.sync();
    const bytes = Buffer.alloc(await file.size());
    for (let at = 0; at < bytes.length; ) {
      const n = await file.read(bytes.subarray(at), at);
      if (n === 0) throw new Error("the file became shorter while it was read");
      at += n;
    }
    this.#secret = secretOf(bytes);
    for (const slot of slotsOf(bytes)) this.#keep(slot);
    this.#end = pageEnd(bytes.length);
    // Keys that came one by one have a page each.
    if (bytes.length > COMPACT_FROM_BYTES && this.#byId.size * SLOT_BYTES * 2 < bytes.length)
      await wipe(await this.#replace([...this.#byId.values()]));
  }

  #newSlot(subject: string): KeySlot {
    const { randomBytes } = this.#options;
    const id = Buffer.from(randomBytes(ID_BYTES)).toString("hex");
    return { id, hash: this.#hashOf(subject), bytes: Buffer.from(randomBytes(KEY_BYTES)) };
  }

  #keep(slot: KeySlot): void {
    this.#byHash.set(slot.hash, slot);
    this.#byId.set(slot.id, slot);
  }

  #hashOf(subject: string): string {
    return createHmac("sha256", this.#secret ?? Buffer.alloc(0))
      .update(subject)
      .digest("hex");
  }

  /** On pages of their own: a write that is torn by a power cut may take what is beside it on its page along. */
  async #append(slots: Buffer): Promise<void> {
    if (this.#file === undefined) throw new Error("the key file is closed");
    await writeAll(this.#file, slots, this.#end);
    const file = this.#file;
    await this.#settled(() => file.sync());
    this.#end = pageEnd(this.#end + slots.length);
  }

  #inTurn<T>(what: string, change: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(() =>
      this.#tried(what, () => {
        if (this.#isInDoubt) throw new Error("a sync before failed; the file is to be opened again");
        return change();
      }),
    );
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #tried<T>(what: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (cause) {
      const why = errnoOf(cause) ?? (cause instanceof Error ? cause.message : String(cause));
      throw personalError("PERSONAL-KEYS", `${what}: ${why}`, { cause, place: { file: this.#path } });
    }
  }
}

/** Zeros over all of a file, and closes it. */
async function wipe(file: DiskFile | undefined): Promise<void> {
  if (file === undefined) return;
  try {
    await writeAll(file, new Uint8Array(await file.size()), 0);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function writeAll(file: DiskFile, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) done += await file.write(bytes.subarray(done), at + done);
}

function stateOf({ id, hash: subject, bytes }: KeySlot): SubjectState {
  return { key: id, hash: subject, isErased: bytes === undefined };
}
