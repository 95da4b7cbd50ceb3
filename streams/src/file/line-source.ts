/**
 * Reads a text file line by line, from any line on. The position of a message is the offset of the last byte of its line in
 * the file, so reading on is a seek. What cannot be read as a message is rejected with file and line, and the rest flows.
 *
 * `follow` goes on when more is written, as `tail -F` does: through rotation by renaming, too. A file that is cut back ends
 * the reader with SOURCE-TRUNCATED; opened again it goes on with what is written then.
 */
import { stat } from "node:fs/promises";
import {
  type Env,
  engineError,
  type MillraceError,
  Positions,
  type RejectedInput,
  type SourceBatch,
  type SourceConnector,
  type SourceReader,
  sleep,
} from "@millrace/engine";
import { codeOf, fileError, readError } from "./errors.ts";
import { type FilePosition, filePositionOf, positionOf, resumeAt } from "./followed-file.ts";
import { LineNumbers } from "./line-numbers.ts";
import { LineScanner } from "./line-scanner.ts";
import { type FileOpener, type ReadableFile, systemFile } from "./readable-file.ts";
import type { RecordBatch, RecordFault, RecordFormat, RecordResult } from "./record-format.ts";

export interface LineSourceOptions {
  readonly path: string;
  /** Longest line in bytes; a longer one is rejected (`MSG-SIZE`) without ever being held. Default 16 MiB. */
  readonly lineBytesMax?: number;
  /** Wait for more at the end of the file. Then the source is not bounded, and cannot replay what was rotated away. */
  readonly follow?: boolean;
  /** How often to look for more, in ms. Default 250. */
  readonly pollMs?: number;
  /** Opens what is to be read; `path` is only its name then, and cannot be followed. Default: the file. */
  readonly open?: FileOpener | undefined;
}

export const LINE_BYTES_MAX = 16 << 20;
const POLL_MS = 250;

export function lineSource(
  options: LineSourceOptions,
  format: () => RecordFormat<RecordBatch>,
  env: Env,
): SourceConnector {
  const isFollowed = options.follow === true;
  return {
    capabilities: { replay: !isFollowed, ordered: true, bounded: !isFollowed },
    partitions: async () => ["0"],
    open: async (_, after) => new LineReader(options, format, after, env),
  };
}

/** A file that is open, and how far it was read. */
interface OpenFile {
  readonly handle: ReadableFile;
  readonly number: number;
  readonly scanner: LineScanner;
  readonly lines: LineNumbers;
  readonly format: RecordFormat<RecordBatch>;
  /** Nothing will be added to the file. */
  isComplete: boolean;
}

class LineReader implements SourceReader {
  readonly #options: LineSourceOptions;
  readonly #makeFormat: () => RecordFormat<RecordBatch>;
  readonly #env: Env;
  readonly #stop = new AbortController();
  readonly #stopped: Promise<"idle">;
  readonly #bytesMax: number;
  #through: number;
  #file: OpenFile | undefined;
  #reading: Promise<unknown> = Promise.resolve();
  /** Faults of a header, to hand out with the next batch. */
  #pending: RejectedInput[] = [];

  constructor(options: LineSourceOptions, format: () => RecordFormat<RecordBatch>, after: number, env: Env) {
    this.#options = options;
    this.#makeFormat = format;
    this.#through = after;
    this.#env = env;
    this.#bytesMax = options.lineBytesMax ?? LINE_BYTES_MAX;
    this.#stopped = new Promise((resolve) =>
      this.#stop.signal.addEventListener("abort", () => resolve("idle"), { once: true }),
    );
  }

  read(messagesMax: number): Promise<SourceBatch | "idle" | "end"> {
    if (this.#stop.signal.aborted) return this.#stopped;
    const reading = this.#read(messagesMax).catch((cause: unknown) => {
      if (this.#stop.signal.aborted) return "idle" as const;
      throw codeOf(cause)?.includes("-") === true ? cause : readError(this.#options.path, cause, this.#through);
    });
    this.#reading = reading.catch(() => {});
    return Promise.race([this.#stopped, reading]);
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error("the reader is closed"));
    // A read in progress would use the handle after it is closed.
    await this.#reading;
    const file = this.#file;
    this.#file = undefined;
    await file?.handle.close();
  }

  async #read(messagesMax: number): Promise<SourceBatch | "idle" | "end"> {
    for (;;) {
      const file = this.#file ?? (await this.#open());
      if (file === undefined) return this.#idle();
      const batch = await this.#batch(file, messagesMax);
      if (batch !== undefined) return batch;
      if (this.#options.follow !== true) return "end";
      // A file that was rotated away is read to its end first, and then the one that took its name.
      if (file.isComplete) await this.#leave(file);
      else if (!(await this.#isRotated(file))) return this.#idle();
    }
  }

  /** What is there now; `undefined` for nothing. */
  async #batch(file: OpenFile, messagesMax: number): Promise<SourceBatch | undefined> {
    const batch = file.format.batch();
    const offsets: number[] = [];
    const rejected = this.#pending.splice(0);
    const left = (): number => Math.min(messagesMax - rejected.length - batch.n, batch.room);
    while (left() > 0) {
      if (this.#addRun(file, batch, left(), offsets)) continue;
      // A line that is there already costs no turn of the event loop.
      if (!(file.scanner.take() || (await this.#isAtLine(file)))) break;
      const result = this.#add(file, batch);
      if (result === "wait") {
        if (await file.scanner.fill()) continue;
        if (file.isComplete || this.#options.follow === true) break;
        file.isComplete = true;
        continue;
      }
      this.#through = positionOf({ file: file.number, offset: file.scanner.last });
      if (result === "taken") offsets.push(this.#through);
      else if (result !== "nothing") rejected.push(await this.#rejection(file, result));
    }
    if (offsets.length === 0 && rejected.length === 0) return undefined;
    const positions = Positions.of(Float64Array.from(offsets));
    return { batch: batch.build(), positions, through: this.#through, rejected };
  }

  #addRun({ format, scanner, number }: OpenFile, batch: RecordBatch, recordsMax: number, offsets: number[]): boolean {
    const run = format.addRun?.(scanner, batch, recordsMax);
    if (run === undefined) return false;
    for (const end of run.ends) offsets.push(positionOf({ file: number, offset: scanner.offsetOf(end - 1) }));
    scanner.passTo(run.next);
    this.#through = positionOf({ file: number, offset: scanner.last });
    return true;
  }

  #add(file: OpenFile, batch: RecordBatch): RecordResult {
    if (file.scanner.isTooLong) return { code: "MSG-SIZE", reason: `longer than ${this.#bytesMax} bytes` };
    return file.format.add(file.scanner, batch, file.isComplete);
  }

  /** Moves to the next line; false when there is none now. */
  async #isAtLine(file: OpenFile): Promise<boolean> {
    const { scanner } = file;
    while (!scanner.take()) {
      if (await scanner.fill()) continue;
      if (this.#options.follow !== true) file.isComplete = true;
      return file.isComplete && scanner.takeRest();
    }
    return true;
  }

  async #leave(file: OpenFile): Promise<void> {
    this.#file = undefined;
    this.#through = positionOf({ file: file.number + 1, offset: -1 });
    await file.handle.close();
  }

  /** Whether another file has taken the name. A name that nobody has is waited for. */
  async #isRotated(file: OpenFile): Promise<boolean> {
    const own = await file.handle.stat();
    if (own.size < file.scanner.readTo) throw this.#truncated(own.size);
    const named = await stat(this.#options.path).catch((cause: unknown) => {
      if (codeOf(cause) === "ENOENT") return undefined;
      throw cause;
    });
    file.isComplete = named !== undefined && (named.ino !== own.ino || named.dev !== own.dev);
    return file.isComplete;
  }

  async #idle(): Promise<"idle"> {
    await sleep(this.#env, this.#options.pollMs ?? POLL_MS, this.#stop.signal);
    return "idle";
  }

  /** `undefined`: a followed file that has no header yet. */
  async #open(): Promise<OpenFile | undefined> {
    const handle = await (this.#options.open ?? systemFile(this.#options.path))();
    try {
      const file = await this.#begin(handle);
      if (file === undefined) await handle.close();
      this.#file = file;
      return file;
    } catch (cause) {
      await handle.close();
      throw cause;
    }
  }

  async #begin(handle: ReadableFile): Promise<OpenFile | undefined> {
    const from = await this.#resume(handle);
    const format = this.#makeFormat();
    const lines = new LineNumbers(handle);
    const scanner = new LineScanner(handle, format.begin === undefined ? from.offset : 0, this.#bytesMax);
    const file: OpenFile = { handle, number: from.file, scanner, lines, format, isComplete: false };
    if (format.begin === undefined) return file;
    const header = await this.#header(file, format.begin.bind(format));
    if (header === undefined) return this.#options.follow === true ? undefined : file;
    const isNew = from.offset <= header.last;
    if (typeof header.result === "object" && isNew) this.#pending.push(await this.#rejection(file, header.result));
    if (isNew) this.#through = positionOf({ file: from.file, offset: header.last });
    return isNew ? file : { ...file, scanner: new LineScanner(handle, from.offset, this.#bytesMax) };
  }

  async #resume(handle: ReadableFile): Promise<FilePosition> {
    const after = filePositionOf(this.#through);
    if (this.#options.follow === true) return resumeAt(handle, after);
    const { size } = await handle.stat();
    if (after.offset >= size) throw this.#truncated(size);
    return { file: after.file, offset: after.offset + 1 };
  }

  async #header(
    file: OpenFile,
    begin: (scanner: LineScanner, isEnd: boolean) => RecordResult,
  ): Promise<{ readonly result: RecordResult; readonly last: number } | undefined> {
    while (await this.#isAtLine(file)) {
      const result = begin(file.scanner, file.isComplete);
      if (result !== "wait") return { result, last: file.scanner.last };
      if (await file.scanner.fill()) continue;
      if (this.#options.follow === true) return undefined;
      file.isComplete = true;
    }
    return undefined;
  }

  async #rejection({ scanner, lines, number }: OpenFile, { code, reason }: RecordFault): Promise<RejectedInput> {
    const line = await lines.at(scanner.startOffset);
    const position = positionOf({ file: number, offset: scanner.last });
    const place = { file: this.#options.path, line, position };
    return { pos: position, error: engineError(code, reason, { place }), input: scanner.shown.toString("utf8") };
  }

  #truncated(size: number): MillraceError {
    const { path } = this.#options;
    const place = { file: path, position: this.#through };
    return fileError("SOURCE-TRUNCATED", `${path} has ${size} bytes, but more was read of it before`, { place });
  }
}
