/**
 * Keys as files: a key is a folder, its newest entry the file with the highest number. Writing is linking a complete file
 * under the next number, which one process only can do. The file system alone decides; nothing is locked, nobody waits for
 * somebody who died.
 *
 * Deleting writes an entry without a value, so that epochs never come again. Files that are much older than the newest are
 * removed. A writer that was stopped for so long that its number is free again finds far higher ones after its link, takes
 * the link back, and says that it does not know whether it was ever seen.
 */
import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface EpochEntry {
  readonly epoch: number;
  /** `undefined`: deleted. */
  readonly value: Uint8Array | undefined;
}

const DIGITS = 16;
const DELETED = 0;
const PRESENT = 1;
/** How often a reader follows a writer that removes files under it. */
const TRIES_MAX = 100;
/** Epochs whose files stay, so that a number is taken for long after it was written. */
const KEPT = 64;

export class EpochFiles {
  readonly #dir: string;
  /** Makes names of drafts that nobody else uses. */
  readonly #draft: () => string;

  constructor(dir: string, draft: () => string) {
    this.#dir = dir;
    this.#draft = draft;
    mkdirSync(join(dir, "keys"), { recursive: true, mode: 0o700 });
    mkdirSync(join(dir, "drafts"), { recursive: true, mode: 0o700 });
  }

  /** The newest entry, deleted or not; `undefined` when the key was never written. */
  newest(key: string): EpochEntry | undefined {
    const folder = this.#folderOf(key);
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const epoch = epochsIn(folder).at(-1);
      if (epoch === undefined) return undefined;
      const bytes = ifThere(() => readFileSync(join(folder, nameOf(epoch))));
      if (bytes !== undefined)
        return { epoch, value: bytes[0] === PRESENT ? new Uint8Array(bytes.subarray(1)) : undefined };
    }
    throw new Error(`key ${key} changes faster than it can be read`);
  }

  /**
   * Writes the entry after `epoch`; `undefined` deletes. False when somebody else has written it.
   *
   * @throws Error the file system failed, or this process was stopped in between for very long
   */
  write(key: string, epoch: number, value: Uint8Array | undefined): boolean {
    const folder = this.#folderOf(key);
    const path = join(folder, nameOf(epoch + 1));
    const draft = join(this.#dir, "drafts", this.#draft());
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(
      draft,
      Buffer.concat([Uint8Array.of(value === undefined ? DELETED : PRESENT), value ?? new Uint8Array()]),
    );
    try {
      linkSync(draft, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
      throw error;
    } finally {
      rmSync(draft, { force: true });
    }
    const epochs = epochsIn(folder);
    const newest = epochs.at(-1) ?? 0;
    if (newest > epoch + KEPT) {
      rmSync(path, { force: true });
      throw new Error(`key ${key} went on to ${newest} while ${epoch + 1} was written`);
    }
    for (const old of epochs) if (old <= newest - KEPT) rmSync(join(folder, nameOf(old)), { force: true });
    return true;
  }

  /** Keys with an entry that is not deleted, sorted, with it. */
  list(prefix: string): readonly { readonly key: string; readonly epoch: number; readonly value: Uint8Array }[] {
    const keys = readdirSync(join(this.#dir, "keys"))
      .map(keyOf)
      .filter((key) => key.startsWith(prefix));
    return keys.sort().flatMap((key) => {
      const { epoch = 0, value } = this.newest(key) ?? {};
      return value === undefined ? [] : [{ key, epoch, value }];
    });
  }

  #folderOf(key: string): string {
    // Neither a dot alone nor a slash may name a folder.
    return join(this.#dir, "keys", `k${key.replaceAll("/", "%")}`);
  }
}

const keyOf = (folder: string): string => folder.slice(1).replaceAll("%", "/");

const nameOf = (epoch: number): string => String(epoch).padStart(DIGITS, "0");

function epochsIn(folder: string): readonly number[] {
  return (ifThere(() => readdirSync(folder)) ?? []).map(Number).sort((a, b) => a - b);
}

export function ifThere<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
