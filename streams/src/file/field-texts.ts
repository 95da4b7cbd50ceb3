/** The texts of one field over all batches: which repeat, and what the kernel calls them. */
import { Dictionary, type RecordKernel } from "@millrace/engine";

/** A dictionary with more entries makes way for a new one. */
export const DICTIONARY_ENTRIES_MAX = 65_536;

export class FieldTexts {
  /** `undefined` when texts hardly repeat. */
  dictionary: Dictionary | undefined = new Dictionary();
  /** By the kernel's number. */
  known: string[] = [];
  /** Their codes in the dictionary; -1 for one that has none yet. */
  codes: number[] = [];
  readonly #kernel: RecordKernel;
  readonly #field: number;

  constructor(kernel: RecordKernel, field: number) {
    this.#kernel = kernel;
    this.#field = field;
  }

  learn(text: string): void {
    this.known.push(text);
    this.codes.push(-1);
  }

  /** The dictionary's code of the text with the kernel's `number`. */
  code(number: number, dictionary: Dictionary): number {
    const found = this.codes[number] as number;
    if (found >= 0) return found;
    const code = dictionary.code(this.known[number] as string);
    this.codes[number] = code;
    return code;
  }

  /** After a batch whose texts hardly repeat. */
  giveUp(): void {
    this.dictionary = undefined;
    this.#list(false);
  }

  /** Keeps what is remembered within bounds, between batches. */
  renew(): void {
    if (this.dictionary !== undefined && this.dictionary.values.length > DICTIONARY_ENTRIES_MAX) {
      this.dictionary = new Dictionary();
      this.#list(true);
      // Texts among numbers are no entries of the dictionary, and may be many.
    } else if (this.known.length > DICTIONARY_ENTRIES_MAX) this.#list(false);
  }

  #list(isListed: boolean): void {
    this.#kernel.listTexts(this.#field, isListed);
    this.known = [];
    this.codes = [];
  }
}
