/** A file of a bundle, written in order; its hash is known at the end. */
import { createHash } from "node:crypto";
import { closeSync, writeSync } from "node:fs";
import type { BundleFolder } from "./bundle-folder.ts";

export interface BundleFileFact {
  readonly sha256: string;
  readonly bytes: number;
}

const BUFFERED_BYTES = 64 * 1024;

export class BundleFile {
  readonly #fd: number;
  readonly #hash = createHash("sha256");
  #pending: string[] = [];
  #pendingLength = 0;
  #bytes = 0;

  constructor(folder: BundleFolder, name: string) {
    this.#fd = folder.open(name);
  }

  /** Adds a value as a line of JSON. */
  line(value: unknown): void {
    this.text(`${JSON.stringify(value)}\n`);
  }

  text(text: string): void {
    this.#pending.push(text);
    this.#pendingLength += text.length;
    if (this.#pendingLength >= BUFFERED_BYTES) this.#flush();
  }

  close(): BundleFileFact {
    this.#flush();
    closeSync(this.#fd);
    return { sha256: this.#hash.digest("hex"), bytes: this.#bytes };
  }

  #flush(): void {
    const bytes = Buffer.from(this.#pending.join(""), "utf8");
    this.#pending = [];
    this.#pendingLength = 0;
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at);
    this.#hash.update(bytes);
    this.#bytes += bytes.length;
  }
}
