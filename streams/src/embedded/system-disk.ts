/** The machine's own file system behind the {@link Disk} port. Errors are Node's, with the errno name in `code`. */
import { constants, write } from "node:fs";
import { type FileHandle, mkdir, open, readdir, rename, rmdir, stat, unlink } from "node:fs/promises";
import type { Disk, DiskFile, FileStat, LockKind, OpenOptions } from "@millrace/engine";
import { errnoOf } from "@millrace/engine/worker";
import { type FileLock, flock } from "./flock.ts";
import { type PidFile, takePidFile } from "./pid-file.ts";

const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

/** @param lock how files are locked; default: by the tool `flock`, which is a process for each */
export function systemDisk(lock: FileLock = flock): Disk {
  return {
    open: async (path, options) => new SystemFile(await open(path, flagsOf(options), FILE_MODE), path, lock),
    rename,
    unlink,
    makeDirectory: async (path) => void (await mkdir(path, { recursive: true, mode: DIRECTORY_MODE })),
    removeDirectory: rmdir,
    syncDirectory,
    list: (path) => readdir(path),
    stat: sizeOf,
  };
}

function flagsOf({ mode, dsync }: OpenOptions): number {
  const access = mode === "read" ? constants.O_RDONLY : constants.O_RDWR;
  const create = mode === "create" ? constants.O_CREAT | constants.O_TRUNC : 0;
  return access | create | (dsync === true ? constants.O_DSYNC : 0);
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function sizeOf(path: string): Promise<FileStat | undefined> {
  try {
    return { sizeBytes: (await stat(path)).size };
  } catch (thrown) {
    if (errnoOf(thrown) === "ENOENT") return undefined;
    throw thrown;
  }
}

class SystemFile implements DiskFile {
  readonly #handle: FileHandle;
  readonly #path: string;
  readonly #lock: FileLock;
  #pidFile: PidFile | undefined;
  #closed: Promise<void> | undefined;

  constructor(handle: FileHandle, path: string, lock: FileLock) {
    this.#handle = handle;
    this.#path = path;
    this.#lock = lock;
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    return (await this.#handle.read(into, 0, into.length, position)).bytesRead;
  }

  /** By callback: one thread-pool hop and one promise per block. */
  write(bytes: Uint8Array, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      write(this.#handle.fd, bytes, 0, bytes.length, position, (error, count) => {
        if (error === null) resolve(count);
        else reject(error);
      });
    });
  }

  async sync(): Promise<void> {
    await this.#handle.sync();
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  async tryLock(): Promise<LockKind | undefined> {
    const outcome = await this.#lock(this.#handle.fd);
    if (outcome === "locked") return "flock";
    if (outcome === "held") return undefined;
    this.#pidFile ??= await takePidFile(this.#path);
    return this.#pidFile === undefined ? undefined : "pid-file";
  }

  close(): Promise<void> {
    this.#closed ??= this.#release();
    return this.#closed;
  }

  async #release(): Promise<void> {
    await this.#handle.close();
    await this.#pidFile?.release();
  }
}
