/** Gathers the cells of one field into the narrowest column that holds them. */
import type { Column, Dictionary, Json } from "@millrace/engine";

/** A small batch says little about how much its texts repeat. */
export const FRESH_ENTRIES_MIN = 256;

export class ColumnBuilder {
  readonly #cells: Json[] = [];
  #numbers = 0;
  #texts = 0;
  #booleans = 0;

  add(cell: Json): void {
    this.#cells.push(cell);
    if (typeof cell === "number") this.#numbers++;
    else if (typeof cell === "string") this.#texts++;
    else if (typeof cell === "boolean") this.#booleans++;
  }

  /**
   * @param dictionary numbers repeated texts; `undefined`: they are known not to repeat
   * @returns `isVaried` when the texts hardly repeat, so that a dictionary would only keep them all for ever
   */
  build(dictionary: Dictionary | undefined): { readonly column: Column; readonly isVaried: boolean } {
    const cells = this.#cells;
    const kinds = Number(this.#numbers > 0) + Number(this.#texts > 0) + Number(this.#booleans > 0);
    if (kinds === 1 && this.#texts > 0 && dictionary !== undefined) return this.#texted(dictionary);
    return {
      column: kinds !== 1 || this.#texts > 0 ? { type: "json", values: cells } : this.#typed(),
      isVaried: false,
    };
  }

  #typed(): Column {
    const nulls = this.#nulls();
    if (this.#numbers > 0)
      return { type: "number", values: Float64Array.from(this.#cells.map((cell) => (cell ?? 0) as number)), nulls };
    return { type: "boolean", values: Uint8Array.from(this.#cells.map((cell) => (cell === true ? 1 : 0))), nulls };
  }

  #texted(dictionary: Dictionary): { readonly column: Column; readonly isVaried: boolean } {
    const cells = this.#cells;
    const codes = new Uint32Array(cells.length);
    const most = dictionary.values.length + Math.max(cells.length / 2, FRESH_ENTRIES_MIN);
    for (let i = 0; i < codes.length; i++) {
      if (cells[i] !== null) codes[i] = dictionary.code(cells[i] as string);
      if (dictionary.values.length > most) return { column: { type: "json", values: cells }, isVaried: true };
    }
    return { column: { type: "dictionary", codes, dictionary, nulls: this.#nulls() }, isVaried: false };
  }

  #nulls(): Uint8Array | null {
    const filled = this.#numbers + this.#texts + this.#booleans;
    return filled === this.#cells.length ? null : Uint8Array.from(this.#cells.map((cell) => (cell === null ? 1 : 0)));
  }
}
