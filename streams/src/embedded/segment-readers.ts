/**
 * Open segment files for reading, shared by all readers; idle ones beyond a limit are closed. A segment that is in the archive only
 * is read from there, as if it were still here.
 */
import type { Disk, DiskFile } from "@millrace/engine";
import { errnoOf } from "@millrace/engine/worker";
import { ArchiveFile, archiveDamaged } from "./archive-file.ts";
import { archivePath } from "./archive-names.ts";
import type { ReadingKernels } from "./block-kernels.ts";
import { crc32c } from "./crc32c.ts";
import { embeddedLogError } from "./errors.ts";
import { type KeptFrom, segmentPruned } from "./kept-range.ts";
import { readFully, segmentPath } from "./segment-files.ts";
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES } from "./segment-header.ts";

const IDLE_FILES_MAX = 16;

/** Where segments are read from. */
export interface SegmentSource {
  /** Of the file that a segment is read from, for errors. */
  pathOf(serial: number): string;
  /** Fills `into` from `offset` of a segment. */
  read(serial: number, into: Uint8Array, offset: number): Promise<void>;
}

type SegmentFile = Pick<DiskFile, "read" | "size" | "close">;

interface OpenFile {
  readonly file: Promise<SegmentFile>;
  users: number;
  /** It did not open, or could not be read: nobody else gets it. */
  hasFailed: boolean;
}

/** @throws LOG-ARCHIVE the archive is of another segment or log */
export async function mustBeArchiveOf(archive: ArchiveFile, serial: number, logId: string | undefined): Promise<void> {
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
  await archive.read(bytes, 0);
  const header = decodeSegmentHeader(bytes, crc32c, archive.path);
  if (header?.serial !== serial || (logId !== undefined && header.logId !== logId))
    throw archiveDamaged(archive.path, "the archive is of another segment or log");
}

export class SegmentReaders implements SegmentSource {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #kernels: Pick<ReadingKernels, "zstd">;
  readonly #idOf: ((serial: number) => string) | undefined;
  readonly #kept: (() => KeptFrom | Promise<KeptFrom>) | undefined;
  readonly #files = new Map<number, OpenFile>();
  /** Segments that were found in the archive. */
  readonly #archived = new Set<number>();

  /**
   * @param idOf when given, archives of other logs are refused
   * @param kept what can be read now: tells a segment that was pruned meanwhile from one that is missing
   */
  constructor(
    disk: Disk,
    directory: string,
    kernels: Pick<ReadingKernels, "zstd">,
    idOf?: (serial: number) => string,
    kept?: () => KeptFrom | Promise<KeptFrom>,
  ) {
    this.#disk = disk;
    this.#directory = directory;
    this.#kernels = kernels;
    this.#idOf = idOf;
    this.#kept = kept;
  }

  pathOf(serial: number): string {
    return this.#archived.has(serial)
      ? archivePath(this.#directory, serial, "zst")
      : segmentPath(this.#directory, serial);
  }

  /** @throws LOG-PRUNED; LOG-ARCHIVE, LOG-MANIFEST the file is missing, cut or damaged */
  read(serial: number, into: Uint8Array, offset: number): Promise<void> {
    return this.#use(serial, (file) => readFully(file, into, offset, this.pathOf(serial)));
  }

  size(serial: number): Promise<number> {
    return this.#use(serial, (file) => file.size());
  }

  async close(): Promise<void> {
    const files = [...this.#files.values()];
    this.#files.clear();
    for (const { file } of files) await (await file).close();
  }

  /** Closes what nobody reads of the segments below: a file that was removed keeps its space until then. */
  forgetBelow(serial: number): Promise<void> {
    return this.#closeIf((at) => at < serial);
  }

  async #use<T>(serial: number, use: (file: SegmentFile) => Promise<T>): Promise<T> {
    let entry = this.#files.get(serial);
    if (entry === undefined) {
      entry = { file: this.#open(serial), users: 0, hasFailed: false };
      this.#files.set(serial, entry);
    }
    entry.users++;
    try {
      return await use(await entry.file);
    } catch (thrown) {
      // It is not kept, so that the next reader tries again.
      if (this.#files.get(serial) === entry) {
        this.#files.delete(serial);
        entry.hasFailed = true;
      }
      throw thrown;
    } finally {
      entry.users--;
      if (entry.hasFailed && entry.users === 0) await entry.file.then((file) => file.close()).catch(() => undefined);
      await this.#closeIdle();
    }
  }

  async #open(serial: number): Promise<SegmentFile> {
    const file =
      (await ifThere(this.#disk.open(segmentPath(this.#directory, serial), { mode: "read" }))) ??
      (await ifThere(this.#openArchive(archivePath(this.#directory, serial, "zst"), serial)));
    return file ?? this.#missing(serial);
  }

  async #missing(serial: number): Promise<never> {
    const kept = await this.#kept?.();
    if (kept !== undefined && serial < kept.serial) throw segmentPruned(serial, kept.position);
    if ((await this.#disk.stat(archivePath(this.#directory, serial, "leaves"))) !== undefined)
      throw archiveDamaged(archivePath(this.#directory, serial, "zst"), "the archived segment is missing");
    const place = { file: segmentPath(this.#directory, serial) };
    throw embeddedLogError("LOG-MANIFEST", "the segment is missing", { place });
  }

  async #openArchive(path: string, serial: number): Promise<SegmentFile> {
    const archive = await ArchiveFile.open(this.#disk, path, this.#kernels);
    this.#archived.add(serial);
    try {
      await mustBeArchiveOf(archive, serial, this.#idOf?.(serial));
      return archive;
    } catch (thrown) {
      await archive.close();
      throw thrown;
    }
  }

  #closeIdle(): Promise<void> {
    return this.#closeIf(() => this.#files.size > IDLE_FILES_MAX);
  }

  async #closeIf(mayClose: (serial: number) => boolean): Promise<void> {
    for (const [serial, entry] of this.#files) {
      if (entry.users > 0 || !mayClose(serial)) continue;
      this.#files.delete(serial);
      await (await entry.file).close();
    }
  }
}

/** What was opened; `undefined` when there is no such file. */
async function ifThere<T>(opening: Promise<T>): Promise<T | undefined> {
  try {
    return await opening;
  } catch (thrown) {
    if (errnoOf(thrown) !== "ENOENT") throw thrown;
    return undefined;
  }
}
