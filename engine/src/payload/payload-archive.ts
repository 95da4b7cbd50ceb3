/**
 * The durable copies of payloads: what the log names by its hash is here, for as long as the log can be read (P-R20). One file
 * per content, complete under its name or not there.
 *
 * A payload is written before the step that names it is appended. Until that step is durable it is *staged*: a marker beside
 * it has the log's end as it was then. After a crash {@link PayloadArchive.open} reads the log from the least of these positions and
 * removes what no event names, so that neither a name without its bytes nor bytes without a name are left.
 *
 * What is named by events that are to be pruned is staged again before they go, and decided upon behind them: whenever the process
 * dies, either the events are there still and name it, or it is gone with them at the latest by the next start.
 */
import { createHash } from "node:crypto";
import { type Disk, errnoOf } from "../disk/disk.ts";
import { type NamingLog, namedOf } from "./named-payloads.ts";
import { payloadError } from "./payload-errors.ts";
import type { PayloadReference } from "./payload-value.ts";

export interface PayloadArchiveOptions {
  readonly disk: Disk;
  /** Absolute; created with the first payload. */
  readonly directory: string;
  readonly log: NamingLog;
}

/** What was removed because no event names it any more. */
export interface ForgottenPayloads {
  readonly payloads: number;
  readonly bytes: number;
}

const STAGED = "staged";
const OBJECTS = "objects";
const DRAFT = ".draft";

export class PayloadArchive {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #log: PayloadArchiveOptions["log"];
  readonly #shelves = new Set<string>();
  #isMade: Promise<void> | undefined;
  #isEmpty = true;

  private constructor({ disk, directory, log }: PayloadArchiveOptions) {
    this.#disk = disk;
    this.#directory = directory;
    this.#log = log;
  }

  /** @throws PAYLOAD-FAILED the directory cannot be used */
  static async open(options: PayloadArchiveOptions): Promise<PayloadArchive> {
    const archive = new PayloadArchive(options);
    await archive.#tried("opening the payload archive failed", async () => {
      if (!(await archive.#exists())) return;
      await archive.#make();
      await archive.#sweep();
      archive.#isEmpty = (await options.disk.list(archive.#in(OBJECTS))).length === 0;
    });
    return archive;
  }

  /** Nothing was ever archived. */
  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  /** Absolute path of a payload's file, which holds its bytes and nothing else. */
  pathOf({ sha256 }: Content): string {
    return `${this.#in(OBJECTS)}/${sha256.slice(0, 2)}/${sha256}`;
  }

  /**
   * Makes the bytes durable, staged. False: they were here before, and whether an event names them is known already.
   * @throws PAYLOAD-FAILED (transient), also when the disk is full
   */
  write(reference: PayloadReference, bytes: Uint8Array): Promise<boolean> {
    return this.#tried("writing a payload to the archive failed", async () => {
      const path = this.pathOf(reference);
      if ((await this.#disk.stat(path))?.sizeBytes === bytes.length) return false;
      this.#isEmpty = false;
      await this.#make();
      await this.#write(this.#marker(reference), Buffer.from(String(this.#log.durableEnd)));
      await this.#disk.syncDirectory(this.#in(STAGED));
      await this.#shelve(path);
      await this.#write(`${path}${DRAFT}`, bytes);
      await this.#disk.rename(`${path}${DRAFT}`, path);
      await this.#disk.syncDirectory(folderOf(path));
      return true;
    });
  }

  /** An event that names it is durable. A marker that a crash leaves behind is found superfluous by the next {@link open}. */
  keep(reference: PayloadReference): Promise<void> {
    return this.#tried("keeping a payload failed", () => this.#unlink(this.#marker(reference)));
  }

  /** No event names it, and none will. */
  remove(reference: PayloadReference): Promise<void> {
    return this.#tried("removing a payload failed", async () => {
      await this.#unlinkObject(reference);
      await this.#unlink(this.#marker(reference));
    });
  }

  /**
   * Stages those of the contents that are here, durably, before the events that name them go: until {@link forget} or the next
   * {@link open} has decided upon each. Returns them.
   * @throws PAYLOAD-FAILED (transient)
   */
  stage(hashes: Iterable<string>): Promise<readonly string[]> {
    return this.#tried("staging payloads failed", async () => {
      const staged: string[] = [];
      for (const sha256 of hashes) {
        if ((await this.#disk.stat(this.pathOf(contentOf(sha256)))) === undefined) continue;
        await this.#make();
        await this.#write(this.#marker(contentOf(sha256)), Buffer.from(String(this.#log.base ?? 0)));
        staged.push(sha256);
      }
      if (staged.length > 0) await this.#disk.syncDirectory(this.#in(STAGED));
      return staged;
    });
  }

  /**
   * Removes what was staged and no event names that can be read.
   *
   * @param take removes one content; bytes of it, or `undefined` if somebody needs it: then the next {@link open} decides
   * @throws PAYLOAD-FAILED (transient) the next {@link open} does what is left
   */
  forget(staged: readonly string[], take = (sha256: string) => this.take(sha256)): Promise<ForgottenPayloads> {
    return this.#tried("removing payloads of pruned events failed", async () => {
      const named = await namedOf(this.#log, new Set(staged), 0);
      const taken = { payloads: 0, bytes: 0 };
      for (const sha256 of staged) {
        const bytes = named.has(sha256) ? await this.#decide(sha256, true) : await take(sha256);
        if (bytes === undefined) continue;
        taken.payloads++;
        taken.bytes += bytes;
      }
      return taken;
    });
  }

  /** Removes a content that no event names. Its length; `undefined`: it was not here. */
  async take(sha256: string): Promise<number | undefined> {
    const found = await this.#disk.stat(this.pathOf(contentOf(sha256)));
    await this.#decide(sha256, false);
    return found?.sizeBytes;
  }

  /** `undefined`: it is not here, or not what its name says. @throws PAYLOAD-FAILED */
  read(reference: PayloadReference): Promise<Uint8Array<ArrayBuffer> | undefined> {
    return this.#tried("reading a payload from the archive failed", async () => {
      const bytes = await this.#read(this.pathOf(reference));
      return bytes !== undefined && contentHash(bytes) === reference.sha256 ? bytes : undefined;
    });
  }

  async has(reference: PayloadReference): Promise<boolean> {
    const found = await this.#disk.stat(this.pathOf(reference));
    return found?.sizeBytes === reference.length;
  }

  async #exists(): Promise<boolean> {
    try {
      await this.#disk.list(this.#in(STAGED));
      return true;
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return false;
      throw error;
    }
  }

  /** Once; where it failed, again by whoever needs it next. */
  #make(): Promise<void> {
    this.#isMade ??= this.#makeFolders().catch((error: unknown) => {
      this.#isMade = undefined;
      throw error;
    });
    return this.#isMade;
  }

  async #makeFolders(): Promise<void> {
    for (const folder of [STAGED, OBJECTS]) await this.#disk.makeDirectory(this.#in(folder));
    await this.#disk.syncDirectory(this.#directory);
  }

  /** What a crash left staged: named by the log, or gone. */
  async #sweep(): Promise<void> {
    const staged = new Map<string, number>();
    for (const sha256 of await this.#disk.list(this.#in(STAGED))) {
      const marker = await this.#read(`${this.#in(STAGED)}/${sha256}`);
      staged.set(sha256, Number(Buffer.from(marker ?? []).toString() || 0));
    }
    if (staged.size === 0) return;
    const named = await namedOf(this.#log, new Set(staged.keys()), Math.min(...staged.values()));
    for (const sha256 of staged.keys()) await this.#decide(sha256, named.has(sha256));
  }

  async #decide(sha256: string, isNamed: boolean): Promise<void> {
    if (!isNamed) await this.#unlinkObject(contentOf(sha256));
    await this.#unlink(this.#marker(contentOf(sha256)));
  }

  /** For good, before its marker goes: or a power cut would bring it back without one. */
  async #unlinkObject(reference: Content): Promise<void> {
    const path = this.pathOf(reference);
    await this.#unlink(path);
    await this.#unlink(`${path}${DRAFT}`);
    try {
      await this.#disk.syncDirectory(folderOf(path));
    } catch (error) {
      // The crash came before there was a folder.
      if (errnoOf(error) !== "ENOENT") throw error;
    }
  }

  /** The folder of an object; made once. */
  async #shelve(path: string): Promise<void> {
    const folder = folderOf(path);
    if (this.#shelves.has(folder)) return;
    await this.#disk.makeDirectory(folder);
    await this.#disk.syncDirectory(this.#in(OBJECTS));
    this.#shelves.add(folder);
  }

  async #write(path: string, bytes: Uint8Array): Promise<void> {
    const file = await this.#disk.open(path, { mode: "create" });
    try {
      for (let at = 0; at < bytes.length; ) at += await file.write(bytes.subarray(at), at);
      await file.sync();
    } finally {
      await file.close();
    }
  }

  async #read(path: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if ((await this.#disk.stat(path)) === undefined) return undefined;
    const file = await this.#disk.open(path, { mode: "read" });
    try {
      const bytes = new Uint8Array(await file.size());
      for (let at = 0; at < bytes.length; ) {
        const n = await file.read(bytes.subarray(at), at);
        if (n === 0) return undefined;
        at += n;
      }
      return bytes;
    } finally {
      await file.close();
    }
  }

  async #unlink(path: string): Promise<void> {
    try {
      await this.#disk.unlink(path);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
    }
  }

  async #tried<T>(what: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (cause) {
      const details = { directory: this.#directory };
      throw payloadError("PAYLOAD-FAILED", what, { cause, details });
    }
  }

  #marker({ sha256 }: Content): string {
    return `${this.#in(STAGED)}/${sha256}`;
  }

  #in(folder: string): string {
    return `${this.#directory}/${folder}`;
  }
}

type Content = Pick<PayloadReference, "sha256">;

function contentOf(sha256: string): Content {
  return { sha256 };
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

export function contentHash(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
