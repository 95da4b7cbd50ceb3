/**
 * Appends messages to a file, exactly once (guarantee `offset`): what is committed is the length of the file, and whatever a
 * crash left behind that is cut off before the next line is written. The file is byte-identical to that of an uninterrupted
 * run. It must not be written by anyone else. A sink cuts only what is its own: of one that has committed nothing its claim says
 * so, of any other the bytes that it wrote last. What somebody else has left at the path is refused, and stays as it is.
 */
import { constants, type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import {
  engineError,
  type InputSlice,
  InvariantViolation,
  invariant,
  isJsonObject,
  type Json,
  messageOf,
  type SinkConnector,
} from "@millrace/engine";
import { csvRecord, delimiterOf } from "./csv-record.ts";
import { makeFolders, syncFolder } from "./durable-folder.ts";
import { fileError } from "./errors.ts";
import { FileClaim } from "./file-claim.ts";
import { FileEnd } from "./file-end.ts";
import { csvLines, type LineFormat, ndjsonLines } from "./line-format.ts";

export interface FileSinkOptions {
  /** Folders on the way are made. */
  readonly path: string;
  readonly format: "ndjson" | "csv";
  /** Where the sink writes down that the file is its own; no other sink has the same. Folders on the way are made. */
  readonly claim: string;
  /** Whether what somebody else has left in the file is removed when the sink begins. Default false: it is refused. */
  readonly replace?: boolean;
  /** Of CSV. Default `,`; a tab where the file's name ends in `.tsv`. */
  readonly delimiter?: string;
}

/** Text is written when this much of it has gathered; a delivery's end writes the rest. */
const BUFFER_CHARS = 1 << 18;
const DISK_FULL_RETRY_MS = 1000;

/** @throws (from `open` and `deliver`) SINK-FAILED, SINK-OCCUPIED; nothing half-written survives it */
export function fileSink(options: FileSinkOptions): SinkConnector {
  return new FileSink(options);
}

class FileSink implements SinkConnector {
  readonly guarantee = "offset";
  readonly #path: string;
  readonly #format: "ndjson" | "csv";
  readonly #claim: FileClaim;
  readonly #replaces: boolean;
  readonly #delimiter: string;
  #lines: LineFormat = ndjsonLines();
  #file: FileHandle | undefined;
  /** Length of what is committed or delivered. */
  #bytes = 0;
  #end = FileEnd.ofNothing;

  constructor({ path, format, claim, replace = false, delimiter = delimiterOf(path) }: FileSinkOptions) {
    this.#path = path;
    this.#format = format;
    this.#claim = new FileClaim(claim);
    this.#replaces = replace;
    this.#delimiter = delimiter;
  }

  async open(committed: Json | undefined): Promise<void> {
    await this.close();
    const { bytes, end } = committed === undefined ? NOTHING : committedOf(committed);
    const file = await this.#attempt(() => this.#openFile());
    this.#file = file;
    this.#end = await this.#attempt(() => FileEnd.of(file, bytes));
    if (bytes === 0) await this.#refuseOccupied(file);
    else await this.#refuseOther(file, bytes, end);
    await this.#attempt(() => this.#cutBack(file, bytes));
    this.#bytes = bytes;
    const header = bytes === 0 || this.#format === "ndjson" ? undefined : await this.#header();
    this.#lines = this.#format === "ndjson" ? ndjsonLines() : csvLines(header, this.#delimiter);
  }

  async deliver(slices: readonly InputSlice[]): Promise<Json> {
    const [before, endBefore] = [this.#bytes, this.#end];
    if (before === 0) await this.#claimFile();
    try {
      await this.#attempt(() => this.#append(slices));
    } catch (failure) {
      this.#bytes = before;
      this.#end = endBefore;
      // On a full disk cutting back works; where it does not, the next open does it.
      await this.#file?.truncate(before).catch(() => this.close());
      throw failure;
    }
    return { bytes: this.#bytes, end: this.#end.digest };
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  async #openFile(): Promise<FileHandle> {
    await makeFolders(dirname(this.#path));
    const file = await open(this.#path, constants.O_RDWR | constants.O_CREAT);
    await syncFolder(dirname(this.#path));
    return file;
  }

  async #cutBack(file: FileHandle, bytes: number): Promise<void> {
    const { size } = await file.stat();
    if (size < bytes) {
      throw new Error(`it has ${size} bytes, but ${bytes} were written to it before; it was cut or replaced`);
    }
    if (size > bytes) await file.truncate(bytes);
    await file.datasync();
  }

  async #refuseOccupied(file: FileHandle): Promise<void> {
    if (this.#replaces || (await this.#attempt(() => this.#isOwn(file)))) return;
    await this.close();
    throw fileError("SINK-OCCUPIED", `${this.#path} is not empty, and this sink has not written what is in it`, {
      place: { file: this.#path },
    });
  }

  /** One that is too short is not refused here: it may be ours all the same. */
  async #refuseOther(file: FileHandle, bytes: number, end: string | undefined): Promise<void> {
    const isOwn = await this.#attempt(async () => {
      const { size } = await file.stat();
      if (size < bytes) return true;
      return end === undefined ? size === bytes || this.#claim.holds(file) : this.#end.digest === end;
    });
    if (isOwn) return;
    await this.close();
    const what = `${this.#path} is another file: it does not hold the ${bytes} bytes that this sink has written`;
    throw fileError("SINK-OCCUPIED", what, { place: { file: this.#path } });
  }

  async #isOwn(file: FileHandle): Promise<boolean> {
    return (await file.stat()).size === 0 || (await this.#claim.holds(file));
  }

  /** Not before there is something to write: what others put into a file that was only opened is not the sink's. */
  async #claimFile(): Promise<void> {
    const file = this.#file;
    invariant(file !== undefined, "a sink is open before it delivers");
    await this.#refuseOccupied(file);
    await this.#attempt(async () => {
      if (await this.#claim.holds(file)) return;
      await this.#cutBack(file, 0);
      await this.#claim.make(file);
    });
  }

  async #append(slices: readonly InputSlice[]): Promise<void> {
    let text = "";
    for (const { batch } of slices) {
      if (batch.n > 0 && this.#bytes === 0 && text === "") text = this.#lines.header(batch);
      text += this.#lines.lines(batch);
      if (text.length < BUFFER_CHARS) continue;
      await this.#write(text);
      text = "";
    }
    if (text !== "") await this.#write(text);
    await this.#file?.datasync();
  }

  async #write(text: string): Promise<void> {
    invariant(this.#file !== undefined, "a sink is open before it delivers");
    const bytes = Buffer.from(text, "utf8");
    for (let at = 0; at < bytes.length; ) {
      const { bytesWritten } = await this.#file.write(bytes, at, bytes.length - at, this.#bytes + at);
      at += bytesWritten;
    }
    this.#bytes += bytes.length;
    this.#end = this.#end.with(bytes);
  }

  /** The columns of a CSV file that was begun earlier. */
  async #header(): Promise<readonly string[]> {
    invariant(this.#file !== undefined, "the header is read from an open file");
    let text = "";
    const delimiter = Buffer.from(this.#delimiter).toString("latin1");
    const chunk = Buffer.alloc(4096);
    for (let at = 0; ; at += chunk.length) {
      const { bytesRead } = await this.#file.read(chunk, 0, chunk.length, at);
      text += chunk.toString("latin1", 0, bytesRead);
      const names = firstRecord(text, delimiter);
      if (names !== undefined || bytesRead === 0)
        return (names ?? []).map((name) => Buffer.from(name, "latin1").toString("utf8"));
    }
  }

  async #attempt<T>(write: () => Promise<T>): Promise<T> {
    try {
      return await write();
    } catch (cause) {
      if (cause instanceof InvariantViolation) throw cause;
      const isFull = cause instanceof Error && "code" in cause && (cause.code === "ENOSPC" || cause.code === "EDQUOT");
      const retry = isFull ? { retryAfterMs: DISK_FULL_RETRY_MS } : {};
      throw engineError("SINK-FAILED", `cannot write ${this.#path}: ${messageOf(cause)}`, {
        place: { file: this.#path },
        cause,
        ...retry,
      });
    }
  }
}

interface Committed {
  /** Length of the file. */
  readonly bytes: number;
  /** Of its last bytes. Absent: an earlier version committed it. */
  readonly end?: string;
}

const NOTHING: Committed = { bytes: 0 };

function committedOf(committed: Json): Committed {
  const { bytes, end } = isJsonObject(committed) ? committed : {};
  if (typeof bytes !== "number") throw new InvariantViolation("a file sink commits the length of its file");
  return typeof end === "string" ? { bytes, end } : { bytes };
}

/** The cells of the first record, once it is there as a whole. Quoted names may hold line ends. */
function firstRecord(text: string, delimiter: string): readonly string[] | undefined {
  for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", end + 1)) {
    const record = csvRecord(text.slice(0, end), delimiter);
    if (record !== "open") return "texts" in record ? record.texts : undefined;
  }
  return undefined;
}
