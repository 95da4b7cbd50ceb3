/**
 * MANIFEST: which segments make up the log. A line with the CRC32C of the rest, then JSON. It is replaced as a whole: written
 * to a temporary file, synced, renamed, the directory synced (L-R9), so a crash leaves the old one or the new one.
 */
import { type Disk, invariant, type Mutation } from "@millrace/engine";
import { decodeCheckedJson, encodeCheckedJson } from "./checked-json.ts";
import type { Crc32c } from "./crc32c.ts";
import { embeddedLogError } from "./errors.ts";
import type { RulesOff } from "./rules.ts";

export const MANIFEST_NAME = "MANIFEST";
const MANIFEST_FORMAT = 1;

export interface SealedSegment {
  readonly firstPos: number;
  readonly endPos: number;
  /** Header checksum of the seal: the `prev` of the next segment's first block. */
  readonly sealHead: number;
  /** Where the seal block starts, and its number in the log. */
  readonly sealOffset: number;
  readonly sealSeq: number;
  readonly blocks: number;
  readonly sha256: string;
  /** `sealed`: the segment file is here. `archived`: only its archive is. `pruned`: neither, only the leaf hashes. */
  readonly state: "sealed" | "archived" | "pruned";
  /** sha256 of the archive file, once there is one. */
  readonly archiveHash: string | null;
  /** What else is known once the segment has been archived. */
  readonly archive?: ArchiveFacts;
}

export interface ArchiveFacts {
  /** Of the three files. */
  readonly bytes: number;
  readonly leavesHash: string;
  /** `null` when no twin for analysts was asked for. */
  readonly parquetHash: string | null;
  /** Times of the first and the last event, in ms since 1970. */
  readonly firstMs: number;
  readonly lastMs: number;
}

/** Positions that were forgotten at once, and who asked for it. */
export interface PrunedPositions {
  readonly from: number;
  /** Exclusive: the base that it left. */
  readonly to: number;
  readonly by: Mutation;
}

/** Segments up to this one were made while the log had this id, and say so in their headers. */
export interface FormerId {
  readonly logId: string;
  readonly through: number;
}

/** A loss that somebody has accepted (L-R20): what was from a position on is no part of the log any more. */
export interface Truncated {
  /** The first position that was lost; it has been given again since. */
  readonly from: number;
  /** Behind the last position that is known to have been lost. */
  readonly to: number;
  /** What was damaged: a code and its message. */
  readonly damage: string;
  /** Of the log until then. */
  readonly formerId: string;
  readonly by: Mutation;
}

export interface Manifest {
  readonly format: number;
  readonly logId: string;
  /** Counts the manifests written. */
  readonly gen: number;
  /** Writer incarnation; one more at each open. */
  readonly epoch: number;
  /** First segment that is kept. */
  readonly first: number;
  /** Last segment that may hold blocks: the active one or the one prepared after it. */
  readonly prepared: number;
  /** Position, block number and chain value at which the first kept segment begins. */
  readonly base: number;
  readonly seq0: number;
  readonly prev0: number;
  readonly segmentBytes: number;
  /** Sealed segments by serial. */
  readonly segments: Readonly<Record<string, SealedSegment>>;
  /** Heads and names of what was pruned. */
  readonly carry: { readonly file: string; readonly sha256: string } | null;
  /** What of single streams was carried by the last prune; absent: nothing. */
  readonly carriedStreams?: { readonly file: string; readonly sha256: string; readonly bytes: number };
  /** Ids that the log had before losses were accepted, oldest first. */
  readonly former?: readonly FormerId[];
  /** The last loss that was accepted. */
  readonly truncated?: Truncated;
  /** What was pruned last; durable with the states of its segments. */
  readonly lastPruned?: PrunedPositions;
  /** The end when the log was last opened or cleanly closed: a witness. */
  readonly openEnd: { readonly pos: number; readonly chain: number } | null;
}

export function newManifest(logId: string, segmentBytes: number): Manifest {
  return {
    format: MANIFEST_FORMAT,
    logId,
    gen: 0,
    epoch: 0,
    first: 1,
    prepared: 1,
    base: 0,
    seq0: 0,
    prev0: 0,
    segmentBytes,
    segments: {},
    carry: null,
    openEnd: null,
  };
}

/** The id that the header of a segment must have. */
export function idOfSegment({ logId, former = [] }: Pick<Manifest, "logId" | "former">, serial: number): string {
  return former.find(({ through }) => serial <= through)?.logId ?? logId;
}

/** `undefined` when there is no manifest. @throws LOG-MANIFEST when it is damaged; LOG-SCHEMA when it is of another format */
export async function readManifest(disk: Disk, directory: string, crc: Crc32c): Promise<Manifest | undefined> {
  const path = `${directory}/${MANIFEST_NAME}`;
  if ((await disk.stat(path)) === undefined) return undefined;
  const file = await disk.open(path, { mode: "read" });
  let bytes: Buffer;
  try {
    // Of the open file: beside a running host another may have its name by now.
    bytes = Buffer.alloc(await file.size());
    await file.read(bytes, 0);
  } finally {
    await file.close();
  }
  return decodeManifest(bytes, path, crc);
}

function decodeManifest(bytes: Buffer, path: string, crc: Crc32c): Manifest {
  // With the right checksum it is what `ManifestFile` wrote.
  const manifest = decodeCheckedJson(bytes, crc) as Manifest | undefined;
  if (manifest === undefined)
    throw embeddedLogError("LOG-MANIFEST", "the manifest is damaged", { place: { file: path } });
  if (manifest.format !== MANIFEST_FORMAT) {
    throw embeddedLogError("LOG-SCHEMA", `manifest format ${manifest.format} is not known`, { place: { file: path } });
  }
  return manifest;
}

/** The manifest in memory and its file; changes are written one after the other. */
export class ManifestFile {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #crc: Crc32c;
  readonly #rulesOff: RulesOff;
  #current: Manifest;
  #tail: Promise<void> = Promise.resolve();

  constructor(disk: Disk, directory: string, current: Manifest, crc: Crc32c, rulesOff: RulesOff) {
    this.#disk = disk;
    this.#directory = directory;
    this.#current = current;
    this.#crc = crc;
    this.#rulesOff = rulesOff;
  }

  /** As last made durable. */
  get current(): Manifest {
    return this.#current;
  }

  /** Applies `change` to the newest manifest and resolves once the result is durable. */
  update(change: (manifest: Manifest) => Manifest): Promise<void> {
    const done = this.#tail.then(async () => {
      const next = { ...change(this.#current), gen: this.#current.gen + 1 };
      await this.#write(next);
      this.#current = next;
    });
    this.#tail = done.catch(() => undefined);
    return done;
  }

  async #write(manifest: Manifest): Promise<void> {
    const path = `${this.#directory}/${MANIFEST_NAME}`;
    const temporary = `${path}.tmp`;
    const bytes = encodeCheckedJson(manifest, this.#crc);
    const file = await this.#disk.open(temporary, { mode: "create" });
    try {
      invariant((await file.write(bytes, 0)) === bytes.length, "a manifest is written whole or fails");
      if (!this.#rulesOff.has("L-R9")) await file.sync();
    } finally {
      await file.close();
    }
    await this.#disk.rename(temporary, path);
    await this.#disk.syncDirectory(this.#directory);
  }
}
