/**
 * Cuts a damaged log where it stops being whole, because somebody has said so (L-R20). What is damaged or lies behind it is put aside
 * first, then the rest of the segment is zeroed, then the manifest says so and takes a new log id: whatever has seen the lost
 * positions is a witness of another log now, followers are made again and the tree has a new origin. Each step may be repeated
 * after a crash: until the manifest says so, the log is refused as before, and the loss is the same.
 */
import type { Env, Mutation } from "@millrace/engine";
import { ARCHIVE_KINDS, archiveDirectory, archivePath } from "./archive-names.ts";
import { crc32c } from "./crc32c.ts";
import { lockDirectory } from "./directory-lock.ts";
import { hexOf } from "./little-endian.ts";
import { type AssessedLoss, assessLoss, type Loss, type LossOptions } from "./loss.ts";
import { MANIFEST_NAME, type Manifest, ManifestFile } from "./manifest.ts";
import { withCarry } from "./rebuilt-manifest.ts";
import { ALL_RULES_HOLD } from "./rules.ts";
import { readFully, segmentPath, serialOf, writeFully } from "./segment-files.ts";
import { SEGMENT_HEADER_BYTES } from "./segment-header.ts";
import { prepareSegment } from "./segment-preparation.ts";

export interface AcceptLossOptions extends LossOptions {
  readonly env: Env;
  /** Who accepts it, and why. */
  readonly by: Mutation;
}

export interface AcceptedLoss extends Loss {
  /** Id that the log has from now on. */
  readonly newLogId: string;
  /** Directory in which the damaged files are, and those behind them. */
  readonly aside: string;
}

const LOCK_WAIT_MS = 1000;
const PIECE_BYTES = 1024 * 1024;

/**
 * `undefined` when nothing is wrong; then nothing is done.
 *
 * @throws LOG-LOCKED the log is open; LOG-MANIFEST its manifest is lost and cannot be made again
 */
export async function acceptLoss(options: AcceptLossOptions): Promise<AcceptedLoss | undefined> {
  const { disk, directory, env } = options;
  const lock = await lockDirectory(disk, directory, env, LOCK_WAIT_MS);
  try {
    const assessed = await assessLoss(options);
    return assessed === undefined ? undefined : await new Acceptance(options, assessed).run();
  } finally {
    await lock.release();
  }
}

class Acceptance {
  readonly #options: AcceptLossOptions;
  readonly #assessed: AssessedLoss;
  readonly #newLogId: string;
  readonly #aside: string;

  constructor(options: AcceptLossOptions, assessed: AssessedLoss) {
    this.#options = options;
    this.#assessed = assessed;
    this.#newLogId = hexOf(options.env.random.bytes(16));
    this.#aside = `${options.directory}/lost-${this.#newLogId}`;
  }

  async run(): Promise<AcceptedLoss> {
    const { disk, directory } = this.#options;
    const { serial, offset } = this.#assessed.kept;
    await disk.makeDirectory(this.#aside);
    await disk.syncDirectory(directory);
    await this.#copyAside(MANIFEST_NAME);
    const isCut = offset > SEGMENT_HEADER_BYTES;
    if (isCut) await this.#copyAside(nameOf(segmentPath(directory, serial)));
    await this.#moveAside(isCut ? serial + 1 : serial);
    if (isCut) await this.#zero(segmentPath(directory, serial), offset);
    await this.#writeManifest(isCut);
    return { ...this.#assessed.loss, newLogId: this.#newLogId, aside: this.#aside };
  }

  async #copyAside(name: string): Promise<void> {
    const { disk, directory } = this.#options;
    const found = await disk.stat(`${directory}/${name}`);
    if (found === undefined) return;
    const from = await disk.open(`${directory}/${name}`, { mode: "read" });
    const to = await disk.open(`${this.#aside}/${name}`, { mode: "create" });
    try {
      for (let at = 0; at < found.sizeBytes; at += PIECE_BYTES) {
        const piece = Buffer.alloc(Math.min(PIECE_BYTES, found.sizeBytes - at));
        await readFully(from, piece, at, name);
        await writeFully(to, piece, at, name);
      }
      await to.sync();
    } finally {
      await from.close();
      await to.close();
    }
    await disk.syncDirectory(this.#aside);
  }

  /** Segments from `serial` on, and what the archive has of what is not kept whole. */
  async #moveAside(serial: number): Promise<void> {
    const { disk, directory } = this.#options;
    const kept = this.#assessed.kept.serial;
    for (const name of await disk.list(directory)) {
      const found = serialOf(name);
      if (found !== undefined && found >= serial) await disk.rename(`${directory}/${name}`, `${this.#aside}/${name}`);
    }
    for (const listed of Object.keys(this.#assessed.manifest.segments).map(Number)) {
      if (listed < kept) continue;
      for (const kind of ARCHIVE_KINDS) {
        const path = archivePath(directory, listed, kind);
        if ((await disk.stat(path)) === undefined) continue;
        await disk.rename(path, `${this.#aside}/${nameOf(path)}`);
        await disk.syncDirectory(archiveDirectory(directory));
      }
    }
    await disk.syncDirectory(this.#aside);
    await disk.syncDirectory(directory);
  }

  /** L-R13, over everything that is lost. */
  async #zero(path: string, from: number): Promise<void> {
    const { disk } = this.#options;
    const sizeBytes = (await disk.stat(path))?.sizeBytes ?? 0;
    const file = await disk.open(path, { mode: "write", dsync: true });
    try {
      for (let at = from; at < sizeBytes; at += PIECE_BYTES)
        await writeFully(file, Buffer.alloc(Math.min(PIECE_BYTES, sizeBytes - at)), at, path);
    } finally {
      await file.close();
    }
  }

  async #writeManifest(isCut: boolean): Promise<void> {
    const { disk, directory, env } = this.#options;
    const { kept } = this.#assessed;
    const known = await withCarry(disk, directory, this.#assessed);
    const file = new ManifestFile(disk, directory, known, crc32c, ALL_RULES_HOLD);
    const next = this.#next(isCut, known);
    if (!isCut) {
      const { segmentBytes } = known;
      const context = { disk, directory, env, crc: crc32c, rulesOff: ALL_RULES_HOLD, segmentBytes };
      // It is named by the manifest that has the new id, and by none before.
      const manifest = { update: () => Promise.resolve() };
      const segment = await prepareSegment({ ...context, logId: this.#newLogId, manifest }, kept.serial);
      await segment.file.close();
    }
    await file.update(({ gen }) => ({ ...next, gen }));
  }

  #next(isCut: boolean, manifest: Manifest): Manifest {
    const { by } = this.#options;
    const { kept, loss, epoch } = this.#assessed;
    const { serial, expected, seals } = kept;
    const through = isCut ? serial : serial - 1;
    const earlier = (manifest.former ?? []).map((id) => ({ ...id, through: Math.min(id.through, through) }));
    const segments = Object.entries(manifest.segments).filter(([listed]) => Number(listed) < serial);
    const truncated = {
      from: loss.from,
      to: loss.to,
      damage: `${loss.code}: ${loss.message}`,
      formerId: loss.logId,
      by,
    };
    return {
      ...manifest,
      logId: this.#newLogId,
      former: [...earlier, { logId: loss.logId, through }],
      epoch,
      prepared: serial,
      segments: { ...Object.fromEntries(segments), ...seals },
      openEnd: { pos: expected.position, chain: expected.prev },
      truncated,
    };
  }
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
