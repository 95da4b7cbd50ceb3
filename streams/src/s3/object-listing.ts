/** The objects under a prefix, in the order of their keys, from any key on. */
import type { ListedObject } from "./s3-answer.ts";
import type { S3Client } from "./s3-client.ts";

/** What is listed. */
export interface Listed {
  readonly prefix: string;
  /** Most objects that are asked for at once. */
  readonly pageObjects: number;
}

export class ObjectListing {
  readonly #client: S3Client;
  readonly #listed: Listed;
  readonly #signal: AbortSignal;
  #page: ListedObject[] = [];
  #hasMore = true;
  /** Last key that was listed. */
  #after: string;

  constructor(client: S3Client, listed: Listed, after: string, signal: AbortSignal) {
    this.#client = client;
    this.#listed = listed;
    this.#after = after;
    this.#signal = signal;
  }

  /** The next object that has content; `undefined`: there was none any more when it was asked last. */
  async next(): Promise<ListedObject | undefined> {
    for (;;) {
      const object = this.#page.shift();
      if (object === undefined && !this.#hasMore) return undefined;
      if (object === undefined) await this.#fetch();
      // Consoles show folders by empty objects.
      else if (object.size > 0) return object;
    }
  }

  async #fetch(): Promise<void> {
    const { prefix, pageObjects } = this.#listed;
    const { objects, isTruncated } = await this.#client.list(prefix, this.#after, pageObjects, this.#signal);
    // Nothing that a service says twice, or out of order, is read twice.
    this.#page = objects.filter(({ key }) => compareKeys(key, this.#after) > 0);
    this.#after = objects.at(-1)?.key ?? this.#after;
    this.#hasMore = isTruncated && objects.length > 0;
  }
}

/** The key of the last object there is; `""` for none. */
export async function lastKey(client: S3Client, { prefix, pageObjects }: Listed): Promise<string> {
  let last = "";
  for (;;) {
    const { objects, isTruncated } = await client.list(prefix, last, pageObjects);
    last = objects.at(-1)?.key ?? last;
    if (!isTruncated || objects.length === 0) return last;
  }
}

/** As the service orders them: by the bytes of UTF-8. */
export function compareKeys(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other));
}
