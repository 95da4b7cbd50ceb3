import type { Lodge } from "../addon.ts";

/** Files of the store that a thread has as arrays. Payloads lie in one or two, until one is emptied and another begun. */
const FILES_MAX = 4;

/** Files of the store, each as one array for as long as the thread reads from it: V8 hears of its bytes once. */
export class MappedFiles {
  readonly #lodge: Lodge;
  readonly #files = new Map<number, ArrayBuffer>();

  constructor(lodge: Lodge) {
    this.#lodge = lodge;
  }

  /** A payload as a part of its file. `undefined` when it does not lie in one that is mapped whole. */
  view(lease: number, length: number): Uint8Array | undefined {
    const number = this.#lodge.segmentOf(lease);
    if (number < 0) return undefined;
    const file = this.#files.get(number) ?? this.#opened(number, lease);
    return new Uint8Array(file, this.#lodge.offsetIn(lease), length);
  }

  clear(): void {
    this.#files.clear();
  }

  #opened(number: number, lease: number): ArrayBuffer {
    const [oldest] = this.#files.keys();
    if (oldest !== undefined && this.#files.size === FILES_MAX) this.#files.delete(oldest);
    const file = this.#lodge.segment(lease);
    this.#files.set(number, file);
    return file;
  }
}
