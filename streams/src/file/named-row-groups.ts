/** Gives failures of a columnar file a code and a place. */
import { MillraceError, messageOf } from "@millrace/engine";
import { codeOf, fileError, readError } from "./errors.ts";
import type { RowGroup, RowGroups } from "./row-group.ts";

export class NamedRowGroups implements RowGroups {
  readonly #path: string;
  readonly #kind: string;
  readonly #open: () => Promise<RowGroups>;
  #groups: Promise<RowGroups> | undefined;
  #read = 0;

  /** The file is opened with the first `next`. */
  constructor(path: string, kind: "Parquet" | "Arrow", open: () => Promise<RowGroups>) {
    this.#path = path;
    this.#kind = kind;
    this.#open = open;
  }

  async next(): Promise<RowGroup | undefined> {
    try {
      this.#groups ??= this.#open();
      const group = await (await this.#groups).next();
      if (group !== undefined) this.#read = group.first + group.n;
      return group;
    } catch (cause) {
      throw this.#errorOf(cause);
    }
  }

  async close(): Promise<void> {
    const groups = await this.#groups?.catch(() => undefined);
    await groups?.close();
  }

  #errorOf(cause: unknown): MillraceError {
    if (cause instanceof MillraceError) return cause;
    // The operating system's codes, not those of Node's own checks, which a damaged file may run into.
    if (/^E[A-Z0-9]+$/.test(codeOf(cause) ?? "")) return readError(this.#path, cause);
    const place = { file: this.#path, position: this.#read };
    return fileError("SOURCE-DAMAGED", `${this.#path} is not a whole ${this.#kind} file: ${messageOf(cause)}`, {
      place,
      cause,
    });
  }
}
