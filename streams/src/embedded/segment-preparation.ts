/**
 * The next segment, made ahead of its use: zero-filled, synced, renamed into place, the directory synced, named in the
 * manifest, opened for DSYNC writes and locked (L-R3, L-R7, L-R10). A roll then does no directory work, and disk space is
 * taken here, in the background, never by an append.
 *
 * Zeroing at full speed halves the rate of appends (FORMAT.md), so it goes in pieces, paced to twice the append rate.
 */
import type { Disk, DiskFile, Env } from "@millrace/engine";
import type { Crc32c } from "./crc32c.ts";
import { lockFile } from "./directory-lock.ts";
import type { Manifest, ManifestFile } from "./manifest.ts";
import { pause } from "./pause.ts";
import type { RulesOff } from "./rules.ts";
import { readFully, segmentPath, unlinkIfThere, writeFully } from "./segment-files.ts";
import { encodeSegmentHeader, SEGMENT_HEADER_BYTES, type SegmentHeader } from "./segment-header.ts";

const PIECE_BYTES = 1024 * 1024;
const SYNC_BYTES = 8 * PIECE_BYTES;
const RETRY_MS = 1000;
/** Bytes per second of zeroing while nothing is appended. */
const IDLE_RATE = 32 * PIECE_BYTES;

export interface PreparedSegment {
  readonly serial: number;
  readonly path: string;
  readonly salt: Uint8Array;
  readonly sizeBytes: number;
  /** Open for DSYNC writes and locked. */
  readonly file: DiskFile;
  /** The 4 KiB the file begins with. */
  readonly header: Uint8Array;
}

export interface PreparationContext {
  readonly disk: Disk;
  readonly directory: string;
  readonly env: Env;
  readonly crc: Crc32c;
  readonly rulesOff: RulesOff;
  readonly logId: string;
  readonly segmentBytes: number;
  readonly manifest: Pick<ManifestFile, "update">;
}

/** How fast appends come now, and whether the segment is needed at once. */
export interface Pace {
  /** Bytes per second. */
  appendRate(): number;
  isUrgent(): boolean;
  /** Called when a segment is ready and when an attempt failed. */
  changed(): void;
}

export class SegmentPreparation {
  readonly #context: PreparationContext;
  readonly #pace: Pace;
  #ready: PreparedSegment | undefined;
  #failure: unknown;
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(context: PreparationContext, pace: Pace) {
    this.#context = context;
    this.#pace = pace;
  }

  get isReady(): boolean {
    return this.#ready !== undefined;
  }

  /** Why the last attempt failed, until one succeeds. */
  get failure(): unknown {
    return this.#failure;
  }

  /** The prepared segment, which the caller now owns. */
  take(): PreparedSegment | undefined {
    const taken = this.#ready;
    this.#ready = undefined;
    return taken;
  }

  /** Prepares segment `serial` in the background, after `change` is in the manifest; tries again every second until it succeeds. */
  begin(serial: number, change: (manifest: Manifest) => Manifest): void {
    this.#running = this.#untilReady(serial, change);
  }

  /** Uses a segment that an earlier process prepared. */
  adopt(segment: PreparedSegment): void {
    this.#ready = segment;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await this.take()?.file.close();
  }

  async #untilReady(serial: number, change: (manifest: Manifest) => Manifest): Promise<void> {
    let listed = false;
    while (!this.#stop.signal.aborted) {
      try {
        if (!listed) await this.#context.manifest.update(change);
        listed = true;
        this.#ready = await prepareSegment(this.#context, serial, () => this.#pause());
        this.#failure = undefined;
        this.#pace.changed();
        return;
      } catch (thrown) {
        this.#failure = thrown;
        if (this.#stop.signal.aborted) return;
        this.#pace.changed();
        await pause(this.#context.env, RETRY_MS, this.#stop.signal);
      }
    }
  }

  async #pause(): Promise<void> {
    const { signal } = this.#stop;
    const rate = Math.max(IDLE_RATE, 2 * this.#pace.appendRate());
    if (!this.#pace.isUrgent()) await pause(this.#context.env, (1000 * PIECE_BYTES) / rate, signal);
    if (signal.aborted) throw new Error("the log is closing");
  }
}

/** @throws what the disk answers, ENOSPC among it; then nothing is left behind but what a reopening deletes */
export async function prepareSegment(
  context: PreparationContext,
  serial: number,
  pause: () => Promise<void> = async () => undefined,
): Promise<PreparedSegment> {
  const { disk, directory, rulesOff } = context;
  const path = segmentPath(directory, serial);
  const header: SegmentHeader = {
    logId: context.logId,
    serial,
    salt: context.env.random.bytes(8),
    sizeBytes: context.segmentBytes,
  };
  const bytes = encodeSegmentHeader(header, context.crc);
  await makeFile(context, `${path}.tmp`, bytes, serial, pause);
  await disk.rename(`${path}.tmp`, path);
  if (!rulesOff.has("L-R7")) {
    await disk.syncDirectory(directory);
    await context.manifest.update((manifest) => ({ ...manifest, prepared: Math.max(manifest.prepared, serial) }));
  }
  return openPrepared(context, header, bytes);
}

/** Opens a prepared file for writing and takes its lock. */
export async function openPrepared(
  context: Pick<PreparationContext, "disk" | "directory" | "env" | "rulesOff">,
  header: SegmentHeader,
  bytes: Uint8Array,
  lockWaitMs = 1000,
): Promise<PreparedSegment> {
  const path = segmentPath(context.directory, header.serial);
  const file = await context.disk.open(path, { mode: "write", dsync: true });
  if (!context.rulesOff.has("L-R10")) await lockFile(file, path, context.env, lockWaitMs);
  return { serial: header.serial, path, salt: header.salt, sizeBytes: header.sizeBytes, file, header: bytes };
}

async function makeFile(
  context: PreparationContext,
  temporary: string,
  header: Uint8Array,
  serial: number,
  pause: () => Promise<void>,
): Promise<void> {
  const file = await context.disk.open(temporary, { mode: "create" });
  try {
    await writeFully(file, header, 0, temporary);
    const stale = context.rulesOff.has("L-R3") ? await staleBytes(context, serial - 1) : undefined;
    for (let at = SEGMENT_HEADER_BYTES; at < context.segmentBytes; at += PIECE_BYTES) {
      const end = Math.min(at + PIECE_BYTES, context.segmentBytes);
      await writeFully(file, stale?.subarray(at, end) ?? ZEROS.subarray(0, end - at), at, temporary);
      if ((at - SEGMENT_HEADER_BYTES) % SYNC_BYTES === SYNC_BYTES - PIECE_BYTES) await file.sync();
      if (end < context.segmentBytes) await pause();
    }
    await file.sync();
    await file.close();
  } catch (thrown) {
    await file.close();
    await unlinkIfThere(context.disk, temporary);
    throw thrown;
  }
}

const ZEROS = Buffer.alloc(PIECE_BYTES);

/** What a file used again without zeroing would hold. Only for showing that L-R3 is needed. */
async function staleBytes(context: PreparationContext, serial: number): Promise<Uint8Array | undefined> {
  const path = segmentPath(context.directory, serial);
  if ((await context.disk.stat(path)) === undefined) return undefined;
  const bytes = Buffer.alloc(context.segmentBytes);
  const file = await context.disk.open(path, { mode: "read" });
  await readFully(file, bytes, 0, path);
  await file.close();
  return bytes;
}
