/** The folder of a bundle that is being written. The manifest comes last: without one it holds an export that did not end. */
import { closeSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { opsError } from "../errors.ts";
import { MadeFiles } from "../made-files.ts";

const MANIFEST = "manifest.json";
/** What every export makes first. */
const FIRST = "checkpoint";

export class BundleFolder {
  readonly path: string;
  readonly #made = new MadeFiles();

  constructor(path: string) {
    this.path = path;
  }

  /** @throws CLI-USAGE it is there and not empty */
  make(): void {
    this.#made.folder(this.path, 0o700);
    const found = readdirSync(this.path);
    if (found.length === 0) return;
    const isUnended = found.includes(FIRST) && !found.includes(MANIFEST);
    const why = isUnended
      ? "holds an export that did not end; if none is running there, remove the folder and export again"
      : "is there and not empty";
    throw opsError("CLI-USAGE", `${this.path} ${why}`);
  }

  /** A new file of it, opened for writing. */
  open(name: string): number {
    return this.#made.file(join(this.path, name), 0o600);
  }

  /** The path of a new file of it, which is empty. */
  file(name: string): string {
    closeSync(this.open(name));
    return join(this.path, name);
  }

  /** After this the folder is whole. */
  end(manifest: string): void {
    const draft = this.file(`${MANIFEST}.tmp`);
    writeFileSync(draft, manifest);
    renameSync(draft, join(this.path, MANIFEST));
  }

  /** Removes what was made of it. */
  takeBack(): void {
    this.#made.takeBack();
  }
}
