/** A bucket of the service that S3 connectors are tested against, filled by another client and looked at on its disk. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Json } from "@millrace/engine";
import { AwsClient } from "aws4fetch";
import { S3_KEY, type S3Server } from "../../services/s3-server.ts";

export class S3Bucket {
  readonly name: string;
  readonly #folder: string;
  readonly #url: string;
  readonly #client = new AwsClient({
    accessKeyId: S3_KEY.id,
    secretAccessKey: S3_KEY.secret,
    service: "s3",
    retries: 0,
  });

  constructor({ server, buckets }: S3Server, name: string) {
    this.name = name;
    this.#url = `http://${server.address}/${name}`;
    this.#folder = join(buckets, name);
  }

  static async make(server: S3Server, name: string): Promise<S3Bucket> {
    const bucket = new S3Bucket(server, name);
    await bucket.#ask("PUT", "");
    return bucket;
  }

  async put(key: string, body: string | Uint8Array): Promise<void> {
    await this.#ask("PUT", pathOf(key), body);
  }

  async remove(key: string): Promise<void> {
    await this.#ask("DELETE", pathOf(key));
  }

  /** Keys under a prefix, in order. */
  keys(prefix: string): readonly string[] {
    const found = readdirSync(this.#folder, { recursive: true, withFileTypes: true });
    const files = found.filter((entry) => entry.isFile());
    const keys = files.map(({ parentPath, name }) => join(parentPath, name).slice(this.#folder.length + 1));
    return keys.filter((key) => key.startsWith(prefix)).sort();
  }

  text(key: string): string {
    return readFileSync(join(this.#folder, key), "utf8");
  }

  /** What the NDJSON objects under a prefix hold, one behind the other. */
  rows(prefix: string): readonly Json[] {
    const lines = this.keys(prefix).flatMap((key) => this.text(key).split("\n").filter(Boolean));
    return lines.map((line) => JSON.parse(line) as Json);
  }

  async #ask(method: string, path: string, body?: string | Uint8Array): Promise<void> {
    const answer = await this.#client.fetch(`${this.#url}${path}`, body === undefined ? { method } : { method, body });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  }
}

const pathOf = (key: string): string => `/${key.split("/").map(encodeURIComponent).join("/")}`;

const credentials = `${S3_KEY.id}:${S3_KEY.secret}`;

/** The address of a prefix at an endpoint. */
export const s3Address = (bucket: string, prefix: string, endpoint: string, options = ""): string =>
  `//${credentials}@${bucket}/${prefix}?endpoint=${endpoint}${options}`;
