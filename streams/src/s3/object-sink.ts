/**
 * Writes rows as objects that are never changed: `<prefix>/<graph>/<node>/<number>.ndjson`. Each object has beside its content how far it
 * brings the lanes that are in it, so content and cursors are written by one request (guarantee `transaction`). A number is given once:
 * the service refuses an object under a key that one has. After anything that went wrong the objects behind the committed ones are
 * looked at, and what they hold is left out of what is delivered again.
 */
import {
  type Batch,
  comparePoints,
  type Env,
  type InputSlice,
  isJsonObject,
  type Json,
  type Point,
  sleep,
} from "@millrace/engine";
import { csvLines, type LineFormat, ndjsonLines } from "../file/line-format.ts";
import type { SinkDriver } from "../resilience/resilient-sink.ts";
import { BEFORE_ALL, type Cursors, pointOf, textOf } from "../sql/lane-cursors.ts";
import { s3Error } from "./errors.ts";
import { S3Fault } from "./s3-answer.ts";
import { type ObjectWrite, PAGE_OBJECTS, type S3Client } from "./s3-client.ts";
import { namedFault } from "./s3-connection.ts";
import { writeObject } from "./write-object.ts";

export interface ObjectSinkOptions {
  readonly bucket: string;
  readonly prefix: string;
  /** Names the sink among all that write to the bucket: graph and node. */
  readonly id: string;
  readonly format: "ndjson" | "csv";
  /** Of CSV. Default `,`. */
  readonly delimiter?: string;
  /** An object is ended with the row that makes it as large as this, in bytes. */
  readonly bytesMax: number;
  /** A delivery of few rows waits until the last object is so old, in ms, so that the next ones gather. */
  readonly flushMs: number;
}

/** What is committed: how many objects there are, and how far they bring each lane. */
interface Written {
  readonly objects: number;
  readonly cursors: Cursors;
}

/** A delivery of more rows is worth an object at once. */
const FEW_ROWS = 1000;
/** Rows that become text at once. */
const PIECE_ROWS = 512;
/** Services take 2 KB of metadata; base64 makes 3 bytes 4. */
const CURSORS_BYTES_MAX = 1300;
const TYPES = { ndjson: "application/x-ndjson", csv: "text/csv" };
const DIGITS = 12;

export function objectSink(options: ObjectSinkOptions, env: Env): SinkDriver<S3Client> {
  const objects = new NumberedObjects(options, env);
  return {
    guarantee: "transaction",
    open: (client, committed) => objects.open(client, writtenOf(committed)),
    async deliver(client, slices) {
      const { objects: count, cursors } = await objects.write(client, slices);
      return { objects: count, cursors };
    },
  };
}

function writtenOf(committed: Json | undefined): Written {
  if (!isJsonObject(committed)) return { objects: 0, cursors: {} };
  return { objects: Number(committed.objects), cursors: committed.cursors as Cursors };
}

class NumberedObjects {
  readonly #options: ObjectSinkOptions;
  readonly #env: Env;
  readonly #folder: string;
  #count = 0;
  readonly #cursors = new Map<string, Point>();
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(options: ObjectSinkOptions, env: Env) {
    this.#options = options;
    this.#env = env;
    const { prefix, id } = options;
    this.#folder = `${prefix}${prefix === "" || prefix.endsWith("/") ? "" : "/"}${id}/`;
  }

  /** Finds the objects that were written and not committed. @throws S3-FOREIGN, S3-DENIED */
  async open(client: S3Client, { objects, cursors }: Written): Promise<void> {
    this.#count = objects;
    this.#cursors.clear();
    for (const [lane, text] of Object.entries(cursors)) this.#cursors.set(lane, pointOf(text));
    for (let after = objects === 0 ? "" : this.#keyOf(objects - 1); ; ) {
      const { objects: found, isTruncated } = await this.#named("", client.list(this.#folder, after, PAGE_OBJECTS));
      for (const { key } of found) await this.#adopt(client, key);
      const last = found.at(-1);
      if (last === undefined || !isTruncated) return;
      after = last.key;
    }
  }

  /** @throws S3-DENIED */
  async write(client: S3Client, slices: readonly InputSlice[]): Promise<Written> {
    const rows = slices.reduce((sum, { batch }) => sum + batch.n, 0);
    const waitMs = this.#lastMs + this.#options.flushMs - this.#env.clock.monotonic();
    if (rows < FEW_ROWS && waitMs > 0) await sleep(this.#env, waitMs);
    let draft = this.#draft();
    for (const slice of slices) {
      for (const { batch, last } of this.#pieces(slice)) {
        if (draft.isFullFor(slice.lane)) draft = await this.#put(client, draft);
        draft.add(slice.lane, batch, last);
        if (draft.bytes >= this.#options.bytesMax) draft = await this.#put(client, draft);
      }
    }
    if (draft.bytes > 0) await this.#put(client, draft);
    return { objects: this.#count, cursors: this.#texts() };
  }

  /** What of a slice is not yet in any object. */
  *#pieces({ lane, batch, positions }: InputSlice): Generator<{ readonly batch: Batch; readonly last: Point }> {
    const cursor = this.#cursors.get(lane) ?? BEFORE_ALL;
    for (let from = positions.countThrough(cursor); from < batch.n; from += PIECE_ROWS) {
      const to = Math.min(batch.n, from + PIECE_ROWS);
      yield { batch: batch.slice(from, to), last: positions.point(to - 1) };
    }
  }

  #draft(): ObjectDraft {
    const { format, delimiter } = this.#options;
    return new ObjectDraft(format === "csv" ? csvLines(undefined, delimiter) : ndjsonLines());
  }

  /** @returns an empty draft for what follows */
  async #put(client: S3Client, draft: ObjectDraft): Promise<ObjectDraft> {
    const key = this.#keyOf(this.#count);
    const { id, format } = this.#options;
    const metadata = { "millrace-sink": encoded(id), "millrace-cursors": encoded(draft.cursors) };
    const write: ObjectWrite = { body: draft.content, type: TYPES[format], metadata };
    await this.#named(key, writeObject(client, key, write));
    this.#lastMs = this.#env.clock.monotonic();
    this.#count++;
    for (const [lane, point] of Object.entries(draft.cursors)) this.#cursors.set(lane, pointOf(point));
    return this.#draft();
  }

  /** An object that an interrupted delivery left, maybe one of which this process never heard that it was written. */
  async #adopt(client: S3Client, key: string): Promise<void> {
    const headers = await this.#named(key, client.metadata(key));
    if (headers === undefined) return;
    const { bucket, id } = this.#options;
    const cursors = decoded(headers.get("x-amz-meta-millrace-cursors"));
    if (
      decoded(headers.get("x-amz-meta-millrace-sink")) !== id ||
      !isJsonObject(cursors) ||
      !key.endsWith(this.#ending)
    )
      throw s3Error("S3-FOREIGN", `object ${key} of bucket ${bucket} was not written by sink ${id}`, {
        place: { file: `s3://${bucket}/${key}` },
        details: { bucket, key },
      });
    this.#count = Number(key.slice(this.#folder.length, this.#folder.length + DIGITS)) + 1;
    for (const [lane, text] of Object.entries(cursors)) this.#advance(lane, pointOf(String(text)));
  }

  #advance(lane: string, point: Point): void {
    if (comparePoints(point, this.#cursors.get(lane) ?? BEFORE_ALL) > 0) this.#cursors.set(lane, point);
  }

  get #ending(): string {
    return `.${this.#options.format}`;
  }

  #keyOf(number: number): string {
    return `${this.#folder}${String(number).padStart(DIGITS, "0")}${this.#ending}`;
  }

  #texts(): Cursors {
    return Object.fromEntries([...this.#cursors].map(([lane, point]) => [lane, textOf(point)]));
  }

  async #named<T>(key: string, answer: Promise<T>): Promise<T> {
    const { bucket } = this.#options;
    try {
      return await answer;
    } catch (cause) {
      if (cause instanceof S3Fault && cause.code === "NoSuchBucket") throw new Error(`there is no bucket ${bucket}`);
      throw namedFault(cause, bucket, key);
    }
  }
}

/** The content of an object, and how far it brings its lanes. */
class ObjectDraft {
  bytes = 0;
  readonly cursors: Record<string, string> = {};
  readonly #lines: LineFormat;
  readonly #parts: Buffer[] = [];

  constructor(lines: LineFormat) {
    this.#lines = lines;
  }

  get content(): Buffer {
    return Buffer.concat(this.#parts);
  }

  add(lane: string, batch: Batch, last: Point): void {
    const header = this.bytes === 0 ? this.#lines.header(batch) : "";
    const part = Buffer.from(header + this.#lines.lines(batch));
    this.#parts.push(part);
    this.bytes += part.length;
    this.cursors[lane] = textOf(last);
  }

  /** The cursors of so many lanes leave no room for one more. */
  isFullFor(lane: string): boolean {
    if (lane in this.cursors || this.bytes === 0) return false;
    return Buffer.byteLength(JSON.stringify({ ...this.cursors, [lane]: textOf(BEFORE_ALL) })) > CURSORS_BYTES_MAX - 32;
  }
}

/** Metadata are ASCII. */
const encoded = (value: Json): string => Buffer.from(JSON.stringify(value)).toString("base64url");

function decoded(text: string | undefined): Json | undefined {
  try {
    return JSON.parse(Buffer.from(text ?? "", "base64url").toString("utf8")) as Json;
  } catch {
    return undefined;
  }
}
