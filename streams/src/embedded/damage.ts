/**
 * Where a log stops being whole: the first block, segment or end that is not what its manifest, its chain and those who have
 * seen it say. Nothing is changed, so it can be asked before anybody decides.
 */
import { createHash } from "node:crypto";
import { type Disk, MillraceError } from "@millrace/engine";
import { isZero } from "./block.ts";
import { type Expected, type WalkEnd, walkSegment } from "./block-walk.ts";
import { crc32c } from "./crc32c.ts";
import { embeddedLogError } from "./errors.ts";
import { idOfSegment, type Manifest, type SealedSegment } from "./manifest.ts";
import { ALL_RULES_HOLD } from "./rules.ts";
import { readFully, segmentPath } from "./segment-files.ts";
import { decodeSegmentHeader, PAGE_SIZE_BYTES, SEGMENT_HEADER_BYTES } from "./segment-header.ts";

/** How far a log is whole. */
export interface WholePart {
  /** Segment, and the offset in it, behind the last block that can be kept. */
  readonly serial: number;
  readonly offset: number;
  /** What the next block must be: its position, number and chain. */
  readonly expected: Readonly<Expected>;
  /** Whole segments before it that the manifest does not list, by serial. */
  readonly seals: Readonly<Record<string, SealedSegment>>;
  /** What is wrong there; absent when nothing is, as far as is known. A torn tail is nothing wrong: opening cuts it. */
  readonly fault?: Fault;
}

export interface Fault {
  readonly code: string;
  readonly message: string;
  readonly file: string;
}

export interface DamageOptions {
  readonly disk: Disk;
  /** Of the log. */
  readonly directory: string;
  readonly manifest: Manifest;
  /** Up to which position others have seen the log durable. */
  readonly seenEnd: number;
  /** Gets the bytes of each segment that is here, and the offset up to which they hold. */
  readonly visit: (bytes: Buffer, holdsTo: number) => void;
}

interface WholeSegment {
  readonly bytes: Buffer;
  readonly salt: Uint8Array;
}

const WALK = { crc: crc32c, align: PAGE_SIZE_BYTES, rulesOff: ALL_RULES_HOLD };

export function wholePart(options: DamageOptions): Promise<WholePart> {
  return new Search(options).run();
}

class Search {
  readonly #options: DamageOptions;
  readonly #expected: Expected;
  readonly #seals: Record<string, SealedSegment> = {};
  /** The newest seal, and the block before it: a clean stop at its position was before it was written. */
  #sealed: { readonly chain: number; readonly before: number } | undefined;

  constructor(options: DamageOptions) {
    const { seq0, prev0, base } = options.manifest;
    this.#options = options;
    this.#expected = { seq: seq0, prev: prev0, position: base, epoch: 0 };
  }

  async run(): Promise<WholePart> {
    for (let serial = this.#options.manifest.first; ; serial++) {
      const before = { ...this.#expected };
      const segment = await this.#read(serial);
      if (segment instanceof MillraceError) return this.#until(serial, SEGMENT_HEADER_BYTES, before, segment);
      const { end } = walkSegment(segment.bytes, serial, segment.salt, this.#expected, WALK);
      const listed = this.#options.manifest.segments[String(serial)];
      if (end.kind === "sealed") {
        const fault = this.#sealFault(segment.bytes, end, listed, before.position);
        if (fault !== undefined) return this.#until(serial, SEGMENT_HEADER_BYTES, before, fault);
        this.#options.visit(segment.bytes, end.offset);
        this.#sealed = { chain: end.header.headCrc, before: end.header.prev };
        if (listed === undefined) this.#seals[String(serial)] = listingOf(end);
        continue;
      }
      this.#options.visit(segment.bytes, end.offset);
      const fault = endFault(end, listed) ?? (await this.#faultBehind(serial)) ?? this.#lostTail();
      return this.#until(serial, end.offset, this.#expected, fault);
    }
  }

  #until(serial: number, offset: number, expected: Expected, error: MillraceError | undefined): WholePart {
    const part = { serial, offset, expected: { ...expected }, seals: this.#seals };
    if (error === undefined) return part;
    const { code, message, place } = error;
    return { ...part, fault: { code, message, file: place?.file ?? segmentPath(this.#options.directory, serial) } };
  }

  /** What the seal says must be what was walked; of a listed one also what the manifest says. */
  #sealFault(
    bytes: Buffer,
    { seal, header, offset }: Extract<WalkEnd, { kind: "sealed" }>,
    listed: SealedSegment | undefined,
    firstPos: number,
  ): MillraceError | undefined {
    const describes = seal.firstPos === firstPos && seal.endPos === this.#expected.position;
    const holds =
      listed === undefined
        ? seal.sha256 === createHash("sha256").update(bytes.subarray(0, offset)).digest("hex")
        : listed.sealHead === header.headCrc && listed.sealOffset === offset && listed.endPos === seal.endPos;
    return describes && holds ? undefined : corrupt("the seal does not describe its segment");
  }

  /** Segments behind the end must be there as far as the manifest says, and unused. */
  async #faultBehind(active: number): Promise<MillraceError | undefined> {
    for (let serial = active + 1; serial <= this.#options.manifest.prepared; serial++) {
      const segment = await this.#read(serial);
      if (segment instanceof MillraceError) return segment;
      if (!isZero(segment.bytes, SEGMENT_HEADER_BYTES, segment.bytes.length))
        return corrupt("a later segment is in use behind the end of this one");
    }
    return undefined;
  }

  #lostTail(): MillraceError | undefined {
    const { manifest, seenEnd } = this.#options;
    const { position, prev } = this.#expected;
    const openEnd = manifest.openEnd ?? { pos: 0, chain: 0 };
    const seen = Math.max(seenEnd, openEnd.pos);
    if (seen > position)
      return embeddedLogError("LOG-TAIL-LOST", `position ${seen} has been seen, the log ends at ${position}`);
    if (openEnd.pos !== position || position === 0 || openEnd.chain === prev) return undefined;
    if (this.#sealed?.chain === prev && this.#sealed.before === openEnd.chain) return undefined;
    return embeddedLogError("LOG-TAIL-LOST", `the block before position ${position} is not the one that was there`);
  }

  async #read(serial: number): Promise<WholeSegment | MillraceError> {
    const { disk, directory, manifest } = this.#options;
    const path = segmentPath(directory, serial);
    const refuse = (why: string): MillraceError => embeddedLogError("LOG-MANIFEST", why, { place: { file: path } });
    const found = await disk.stat(path);
    if (found === undefined) return refuse("a segment that the manifest names is missing");
    if (found.sizeBytes !== manifest.segmentBytes)
      return refuse(`the segment has ${found.sizeBytes} bytes, not ${manifest.segmentBytes}`);
    const bytes = await readFile(disk, path, found.sizeBytes);
    const header = decodeSegmentHeader(bytes, crc32c, path);
    if (header?.serial === serial && header.logId === idOfSegment(manifest, serial))
      return { bytes, salt: header.salt };
    return refuse(header === undefined ? "the segment's header is damaged" : "the file is of another place or log");
  }
}

function listingOf({ seal, header, offset }: Extract<WalkEnd, { kind: "sealed" }>): SealedSegment {
  return {
    ...seal,
    sealHead: header.headCrc,
    sealOffset: offset,
    sealSeq: header.seq,
    state: "sealed",
    archiveHash: null,
  };
}

function endFault(
  end: Exclude<WalkEnd, { kind: "sealed" }>,
  listed: SealedSegment | undefined,
): MillraceError | undefined {
  if (end.kind === "corrupt") return corrupt(end.why);
  return listed === undefined ? undefined : corrupt("the segment ends before its seal");
}

function corrupt(why: string): MillraceError {
  return embeddedLogError("LOG-CORRUPT", why);
}

export async function readFile(disk: Disk, path: string, sizeBytes: number): Promise<Buffer> {
  const bytes = Buffer.alloc(sizeBytes);
  const file = await disk.open(path, { mode: "read" });
  try {
    await readFully(file, bytes, 0, path);
  } finally {
    await file.close();
  }
  return bytes;
}
