/**
 * The disk as a port (DESIGN §6): what the embedded log needs of a file system, so that the same code runs on a real one and on a
 * simulated one with power cuts, torn writes and sync errors.
 *
 * Every failure is an error with the errno name in `code` (`ENOENT`, `ENOSPC`, `EIO` …); {@link errnoOf} reads it. Paths are
 * absolute. Implementations: `systemDisk` (`streams/embedded`) and `SimulatedDisk` (`engine/testing`).
 */

export interface Disk {
  open(path: string, options: OpenOptions): Promise<DiskFile>;
  /** Replaces `to` atomically. Durable only after {@link syncDirectory} of the directory. */
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** With its parents; an existing directory is fine. */
  makeDirectory(path: string): Promise<void>;
  /** Removes an empty directory. */
  removeDirectory(path: string): Promise<void>;
  /** Makes creations, renames and removals in this directory durable. */
  syncDirectory(path: string): Promise<void>;
  /** Names in the directory, in any order. */
  list(path: string): Promise<readonly string[]>;
  /** `undefined` when there is no such file. */
  stat(path: string): Promise<FileStat | undefined>;
}

export interface FileStat {
  readonly sizeBytes: number;
}

export interface OpenOptions {
  /** `read` and `write` (which may read too) need an existing file; `create` makes one or empties it, for reading and writing. */
  readonly mode: "read" | "write" | "create";
  /** Each write returns only when its bytes are on the medium (O_DSYNC). Default false. */
  readonly dsync?: boolean;
}

/** How a lock is held: by the open file description, or by a file that names process and start time where that is impossible. */
export type LockKind = "flock" | "pid-file";

export interface DiskFile {
  /** Fills `into` from `position` and returns how many bytes there were; fewer only at the end of the file. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** Writes at `position` and returns how many bytes were taken. The caller leaves `bytes` alone until then. */
  write(bytes: Uint8Array, position: number): Promise<number>;
  /** Flushes data and size to the medium. After an error the state of the medium is unknown: do not try again. */
  sync(): Promise<void>;
  size(): Promise<number>;
  /**
   * Takes the exclusive lock of this file, bound to this descriptor: it ends with `close` or with the process, however that dies,
   * and not before a write in flight has ended. `undefined` when another descriptor holds it.
   */
  tryLock(): Promise<LockKind | undefined>;
  /** Idempotent; waits for nothing. */
  close(): Promise<void>;
}

/** An error of a simulated disk; real ones come from Node with the same `code`. */
export class DiskError extends Error {
  override readonly name = "DiskError";
  readonly code: string;

  constructor(code: string, message: string) {
    super(`${code}: ${message}`);
    this.code = code;
  }
}

/** The errno name of a disk failure, `undefined` for anything else. */
export function errnoOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !("code" in thrown)) return undefined;
  return typeof thrown.code === "string" ? thrown.code : undefined;
}
