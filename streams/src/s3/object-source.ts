/**
 * The objects under a prefix as a source: one behind the other in the order of their keys, each read as a file of its format is. The
 * positions of an object follow those of the object before it; where each begins, with key and etag, is logged as a mark before
 * anything of it is sent. So reading goes on in the very object, and an object that is not the same any more is found out.
 */
import {
  type Env,
  engineError,
  Positions,
  type SourceBatch,
  type SourceMark,
  type SourceReader,
  sleep,
  type TextKernels,
} from "@millrace/engine";
import type { CsvOptions } from "../file/csv-format.ts";
import { type FileFormat, fileSource } from "../file/file-source.ts";
import type { SourceDriver } from "../resilience/resilient-source.ts";
import { s3Error } from "./errors.ts";
import { isChanged, ObjectFile } from "./object-file.ts";
import { compareKeys, lastKey, ObjectListing } from "./object-listing.ts";
import { type ListedObject, S3Fault } from "./s3-answer.ts";
import type { S3Client } from "./s3-client.ts";
import { namedFault } from "./s3-connection.ts";

export interface ObjectSourceOptions extends CsvOptions {
  readonly bucket: string;
  readonly prefix: string;
  /** Default: by the names of the objects. */
  readonly format?: FileFormat;
  /** Ends with the last object there is when it is first opened. */
  readonly untilNow: boolean;
  /** How often to look for new objects, in ms. */
  readonly pollMs: number;
  /** Most objects that are listed at once. */
  readonly pageObjects: number;
  readonly kernels?: TextKernels | undefined;
}

/** Positions within an object that readers of files tell apart. */
const OBJECT_BYTES_MAX = 2 ** 38;
/** An object may be replaced while it is listed; a service whose listings name other etags than its objects is of no use. */
const SURPRISES_MAX = 10;
/** How long a reader that has nothing waits before it says so. */
const IDLE_MS = 250;

export function objectSource(options: ObjectSourceOptions, env: Env): SourceDriver<S3Client> {
  let end: string | undefined;
  return {
    capabilities: { replay: true, ordered: true, bounded: options.untilNow },
    partitions: ["0"],
    async open(client, _partition, after, marks) {
      try {
        if (options.untilNow) end ??= await lastKey(client, options);
      } catch (cause) {
        throw listFault(cause, options.bucket);
      }
      return new ObjectsReader({ client, options, env, after, marks, end });
    },
  };
}

interface ObjectsReaderOptions {
  readonly client: S3Client;
  readonly options: ObjectSourceOptions;
  readonly env: Env;
  readonly after: number;
  readonly marks: readonly SourceMark[];
  /** Key of the last object to be read; absent: there is none. */
  readonly end: string | undefined;
}

/** An object that is being read. */
interface OpenObject {
  readonly mark: SourceMark;
  readonly object: ListedObject;
  readonly file: ObjectFile;
  readonly reader: SourceReader;
}

class ObjectsReader implements SourceReader {
  readonly identity: string;
  readonly #reads: ObjectsReaderOptions;
  readonly #stop = new AbortController();
  /** Logged marks of what comes next. */
  readonly #known: SourceMark[];
  #through: number;
  #current: OpenObject | undefined;
  #listing: ObjectListing | undefined;
  /** Key of the last object that was read from its beginning or on. */
  #lastKey = "";
  /** Key before the object that is read now. */
  #before = "";
  /** How often in a row objects were not what the listing had said. */
  #surprises = 0;
  #listAgainMs = Number.NEGATIVE_INFINITY;
  /** The current object's mark was handed out, or logged before. */
  #isMarked = false;

  constructor(reads: ObjectsReaderOptions) {
    this.#reads = reads;
    this.#known = [...reads.marks];
    this.#through = reads.after;
    this.identity = `s3://${reads.options.bucket}/${reads.options.prefix}`;
  }

  async read(messagesMax: number): Promise<SourceBatch | "idle" | "end"> {
    for (;;) {
      this.#current ??= await this.#next();
      if (this.#current === undefined) return this.#reads.end === undefined ? this.#idle() : "end";
      const read = await this.#readObject(this.#current, messagesMax);
      if (read === "idle") return "idle";
      if (typeof read !== "string") return this.#placed(this.#current, read);
      await this.#current.reader.close();
      this.#current = undefined;
    }
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error("the reader is closed"));
    await this.#current?.reader.close();
  }

  /** `"end"`: nothing of it is left, or it is to be listed again. */
  async #readObject({ reader, file }: OpenObject, messagesMax: number): Promise<SourceBatch | "idle" | "end"> {
    try {
      return await reader.read(messagesMax);
    } catch (cause) {
      const fault = file.fault ?? cause;
      // Replaced between listing and reading: nothing was read of it yet.
      if (!isChanged(fault) || this.#isMarked || ++this.#surprises > SURPRISES_MAX) throw fault;
      this.#listing = undefined;
      this.#lastKey = this.#before;
      return "end";
    }
  }

  /** What an object's reader counts from 0 begins at its mark. */
  #placed({ mark }: OpenObject, { batch, positions, through, rejected }: SourceBatch): SourceBatch {
    const shifted = new Float64Array(positions.n).map((_, i) => mark.from + positions.pos(i));
    this.#through = mark.from + through;
    const marks = this.#isMarked ? [] : [mark];
    this.#isMarked = true;
    this.#surprises = 0;
    return {
      marks,
      batch,
      positions: Positions.of(shifted),
      through: this.#through,
      rejected: rejected.map((input) => ({ ...input, pos: mark.from + input.pos })),
    };
  }

  /** The object to go on with; `undefined`: there is none now. */
  async #next(): Promise<OpenObject | undefined> {
    const known = this.#known.shift();
    const mark = known ?? (await this.#listed());
    if (mark === undefined) return undefined;
    const object = mark.place as unknown as ListedObject;
    this.#isMarked = known !== undefined;
    this.#before = this.#lastKey;
    this.#lastKey = object.key;
    return this.#opened(mark, object);
  }

  async #listed(): Promise<SourceMark | undefined> {
    const { client, options, end, env } = this.#reads;
    if (env.clock.monotonic() < this.#listAgainMs) return undefined;
    this.#listing ??= new ObjectListing(client, options, this.#lastKey, this.#stop.signal);
    const object = await this.#listing.next().catch((cause: unknown) => {
      this.#listing = undefined;
      throw listFault(cause, options.bucket);
    });
    const isBehind = object !== undefined && end !== undefined && compareKeys(object.key, end) > 0;
    if (object !== undefined && !isBehind) return { from: this.#through + 1, place: { ...object } };
    this.#listing = undefined;
    this.#listAgainMs = env.clock.monotonic() + options.pollMs;
    return undefined;
  }

  async #opened(mark: SourceMark, object: ListedObject): Promise<OpenObject> {
    const { client, options, env } = this.#reads;
    const path = `s3://${options.bucket}/${object.key}`;
    const place = { place: { file: path }, details: { bucket: options.bucket, key: object.key } };
    if (object.size >= OBJECT_BYTES_MAX) throw s3Error("S3-SIZE", `${path} has ${object.size} bytes`, place);
    const file = new ObjectFile(client, options.bucket, object, this.#stop.signal);
    const { format, kernels, delimiter, types } = options;
    const open = async (): Promise<ObjectFile> => file;
    const said = {
      ...(format === undefined ? {} : { format }),
      ...(delimiter === undefined ? {} : { delimiter }),
      ...(types === undefined ? {} : { types }),
    };
    const source = fileSource({ path, open, kernels, ...said }, env);
    if (source === undefined) throw s3Error("S3-FORMAT", `the name of ${path} does not say its format`, place);
    return { mark, object, file, reader: await source.open("0", Math.max(-1, this.#through - mark.from)) };
  }

  async #idle(): Promise<"idle"> {
    const { env, options } = this.#reads;
    await sleep(env, Math.min(IDLE_MS, options.pollMs), this.#stop.signal);
    return "idle";
  }
}

function listFault(cause: unknown, bucket: string): unknown {
  if (!(cause instanceof S3Fault) || cause.status !== 404) return namedFault(cause, bucket);
  return engineError("SOURCE-MISSING", `there is no bucket ${bucket}`, { place: { file: `s3://${bucket}` }, cause });
}
