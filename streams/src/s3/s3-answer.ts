/** What a service answers: a failure with a code, or a listing. All of it is XML. */
import { SaxesParser } from "saxes";

/** A request that was answered, and not with success. */
export class S3Fault extends Error {
  readonly status: number;
  /** The service's name of it, such as `NoSuchBucket`; `""` where the answer has no body. */
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(`${status}${code === "" ? "" : ` ${code}`}${message === "" ? "" : `: ${message}`}`);
    this.status = status;
    this.code = code;
  }
}

export interface ListedObject {
  readonly key: string;
  /** Changes with the content; in quotes, as the service says it. */
  readonly etag: string;
  readonly size: number;
}

export interface ListedPage {
  readonly objects: readonly ListedObject[];
  /** There are more behind the last. */
  readonly isTruncated: boolean;
}

/** @param body what came with a status that is no success; proxies answer with anything */
export function faultOf(status: number, body: Buffer): S3Fault {
  try {
    const { fields } = recordsOf(body.toString("utf8"), "");
    return new S3Fault(status, fields.get("Code") ?? "", fields.get("Message") ?? "");
  } catch {
    return new S3Fault(status, "", "");
  }
}

/** @throws Error it is no listing */
export function pageOf(body: Buffer): ListedPage {
  const { fields, records } = recordsOf(body.toString("utf8"), "Contents");
  const isUrl = fields.get("EncodingType") === "url";
  const isTruncated = fields.get("IsTruncated");
  if (isTruncated === undefined) throw new Error("the answer is no listing of objects");
  return { objects: records.map((record) => listedOf(record, isUrl)), isTruncated: isTruncated === "true" };
}

function listedOf(record: ReadonlyMap<string, string>, isUrl: boolean): ListedObject {
  const [key, etag, size] = ["Key", "ETag", "Size"].map((name) => record.get(name));
  if (key === undefined || etag === undefined || !/^\d+$/.test(size ?? ""))
    throw new Error("the listing has an object without key, etag or size");
  return { key: isUrl ? decodeURIComponent(key.replaceAll("+", " ")) : key, etag, size: Number(size) };
}

/** The texts of the elements below the root, and those in each element that is called `name`. */
export function recordsOf(
  xml: string,
  name: string,
): { readonly fields: ReadonlyMap<string, string>; readonly records: readonly ReadonlyMap<string, string>[] } {
  const fields = new Map<string, string>();
  const records: Map<string, string>[] = [];
  const open: string[] = [];
  let text = "";
  const parser = new SaxesParser();
  parser.on("error", (error) => {
    throw error;
  });
  parser.on("opentag", (tag) => {
    open.push(tag.name);
    text = "";
    if (open.length === 2 && tag.name === name) records.push(new Map());
  });
  parser.on("text", (part) => {
    text += part;
  });
  parser.on("closetag", () => {
    const closed = open.pop() ?? "";
    if (open.length === 1 && closed !== name) fields.set(closed, text);
    else if (open.length === 2 && open[1] === name) records.at(-1)?.set(closed, text);
    text = "";
  });
  parser.write(xml).close();
  return { fields, records };
}
