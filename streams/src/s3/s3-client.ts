/**
 * The few requests of S3 that connectors make, over one service. Requests are signed by `aws4fetch` (Signature Version 4) with the hash
 * of what they carry. Nothing is tried again here.
 */
import { createHash } from "node:crypto";
import type { Env, S3Address, S3Credentials } from "@millrace/engine";
import { AwsV4Signer } from "aws4fetch";
import { Agent, request } from "undici";
import { faultOf, type ListedPage, pageOf, recordsOf, S3Fault } from "./s3-answer.ts";

/** For the beginning of an answer, and between two parts of it: a service may have much to do before it has written what it was given. */
const SILENCE_MS = 20_000;
/** Most objects that a service lists at once. */
export const PAGE_OBJECTS = 1000;

export interface S3Place extends Pick<S3Address, "bucket" | "region" | "style"> {
  readonly credentials?: S3Credentials;
  /** Certificates to trust instead of the system's, as PEM. */
  readonly ca?: string;
  /**
   * How long reading may hear nothing. A probe goes over another socket than the request that hangs, so that it finds no link on which only
   * that one is silent.
   */
  readonly readSilenceMs: number;
}

interface Call {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  readonly key?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  readonly signal?: AbortSignal | undefined;
}

export interface S3Reply {
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

/** What is written of an object beside its content. */
export interface ObjectWrite {
  readonly body: Buffer;
  readonly type: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export class S3Client {
  readonly #place: S3Place;
  readonly #endpoint: URL;
  readonly #clock: Env["clock"];
  readonly #agent: Agent;

  constructor(place: S3Place, endpoint: string, env: Env) {
    this.#place = place;
    this.#endpoint = new URL(endpoint);
    this.#clock = env.clock;
    const tls = place.ca === undefined ? {} : { ca: place.ca };
    this.#agent = new Agent({ connect: tls });
  }

  /** Resolves when the service answers, whatever it says of the bucket. @throws S3Fault it cannot serve now */
  async ask(signal?: AbortSignal): Promise<void> {
    await this.#call({ method: "HEAD", signal }).catch((cause: unknown) => {
      if (!(cause instanceof S3Fault) || cause.status >= 500) throw cause;
    });
  }

  /** Objects under a prefix behind a key, in the order of their keys' bytes. */
  async list(prefix: string, after: string, objectsMax: number, signal?: AbortSignal): Promise<ListedPage> {
    const query = { "list-type": "2", "encoding-type": "url", "max-keys": String(objectsMax), prefix };
    const behind = after === "" ? query : { ...query, "start-after": after };
    return pageOf((await this.#call({ method: "GET", query: behind, signal })).body);
  }

  /** Bytes `[from, to)` of an object, if it still is the one with this etag. @throws S3Fault 412 it is not */
  async get(key: string, etag: string, from: number, to: number, signal?: AbortSignal): Promise<Buffer> {
    const headers = { "if-match": etag, range: `bytes=${from}-${to - 1}` };
    const reply = await this.#call({ method: "GET", key, headers, signal });
    // Not every service heeds the condition.
    const now = reply.headers.get("etag");
    if (now !== etag) throw new S3Fault(412, "PreconditionFailed", `its etag is ${now}`);
    if (reply.body.length !== to - from)
      throw new Error(`the answer has ${reply.body.length} bytes instead of ${to - from}`);
    return reply.body;
  }

  /** What was written beside the object's content; `undefined`: there is no such object. */
  async metadata(key: string): Promise<ReadonlyMap<string, string> | undefined> {
    try {
      return (await this.#call({ method: "HEAD", key })).headers;
    } catch (cause) {
      if (cause instanceof S3Fault && cause.status === 404) return undefined;
      throw cause;
    }
  }

  /** Writes an object under a key that none has. @throws S3Fault 412 one has it */
  async put(key: string, { body, type, metadata }: ObjectWrite): Promise<void> {
    const headers = { ...headersOf(type, metadata), "if-none-match": "*" };
    await this.#call({ method: "PUT", key, headers, body });
  }

  async beginUpload(key: string, { type, metadata }: ObjectWrite): Promise<string> {
    const reply = await this.#call({ method: "POST", key, query: { uploads: "" }, headers: headersOf(type, metadata) });
    const id = recordsOf(reply.body.toString("utf8"), "").fields.get("UploadId");
    if (id === undefined) throw new Error("the answer names no upload");
    return id;
  }

  /** @returns the part's etag */
  async uploadPart(key: string, id: string, number: number, body: Buffer): Promise<string> {
    const query = { partNumber: String(number), uploadId: id };
    return (await this.#call({ method: "PUT", key, query, body })).headers.get("etag") ?? "";
  }

  /** Makes the parts an object, under a key that none has. @throws S3Fault 412 one has it */
  async completeUpload(key: string, id: string, etags: readonly string[]): Promise<void> {
    const parts = etags.map((etag, i) => `<Part><PartNumber>${i + 1}</PartNumber><ETag>${xmlText(etag)}</ETag></Part>`);
    const body = Buffer.from(`<CompleteMultipartUpload>${parts.join("")}</CompleteMultipartUpload>`);
    const headers = { "if-none-match": "*", "content-type": "application/xml" };
    const reply = await this.#call({ method: "POST", key, query: { uploadId: id }, headers, body });
    // It may fail after it has begun to answer with success.
    if (reply.body.includes("<Error>")) throw faultOf(500, reply.body);
  }

  async abortUpload(key: string, id: string): Promise<void> {
    await this.#call({ method: "DELETE", key, query: { uploadId: id } });
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #call(call: Call): Promise<S3Reply> {
    const { url, headers } = await this.#signed(call);
    const { method, body = null, signal } = call;
    const silenceMs =
      method === "GET" || method === "HEAD" ? Math.min(this.#place.readSilenceMs, SILENCE_MS) : SILENCE_MS;
    const limits = { headersTimeout: silenceMs, bodyTimeout: silenceMs, ...(signal && { signal }) };
    const reply = await request(url, { method, headers, body, dispatcher: this.#agent, ...limits });
    const content = Buffer.from(await reply.body.arrayBuffer());
    if (reply.statusCode >= 300) throw faultOf(reply.statusCode, content);
    const named = Object.entries(reply.headers).map(([name, value]) => [name, String(value)] as const);
    return { headers: new Map(named), body: content };
  }

  async #signed({ method, key, query = {}, headers = {}, body }: Call): Promise<{ url: URL; headers: string[] }> {
    const url = this.#urlOf(key, query);
    const { credentials, region } = this.#place;
    const hash = createHash("sha256")
      .update(body ?? "")
      .digest("hex");
    const own = { ...headers, "x-amz-content-sha256": hash };
    if (credentials === undefined) return { url, headers: Object.entries(own).flat() };
    const { keyId: accessKeyId, secret: secretAccessKey, token: sessionToken } = credentials;
    const datetime = new Date(this.#clock.now()).toISOString().replace(/[:-]|\.\d{3}/g, "");
    const known = { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
    const signer = new AwsV4Signer({ method, url: url.href, headers: own, service: "s3", region, datetime, ...known });
    const signed = await signer.sign();
    return { url: signed.url, headers: [...signed.headers].flat() };
  }

  #urlOf(key = "", query: Readonly<Record<string, string>>): URL {
    const { bucket, style } = this.#place;
    const url = new URL(this.#endpoint);
    if (style === "host") url.hostname = `${bucket}.${url.hostname}`;
    const path = key.split("/").map(encoded).join("/");
    url.pathname = style === "host" ? `/${path}` : `/${bucket}${key === "" ? "" : `/${path}`}`;
    url.search = Object.entries(query)
      .map(([name, value]) => `${name}=${encoded(value)}`)
      .join("&");
    return url;
  }
}

function headersOf(type: string, metadata: Readonly<Record<string, string>>): Record<string, string> {
  const named = Object.entries(metadata).map(([name, value]) => [`x-amz-meta-${name}`, value] as const);
  return { "content-type": type, ...Object.fromEntries(named) };
}

/** The signature is of RFC 3986's form. */
const encoded = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

const xmlText = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
