/** Files and folders that a command makes. One that fails takes back what it made, so that it can be tried again, and nothing else. */
import { existsSync, mkdirSync, openSync, rmdirSync, rmSync } from "node:fs";
import { dirname, resolve } from "node:path";

export class MadeFiles {
  readonly #files: string[] = [];
  /** Outer ones first. */
  readonly #folders: string[] = [];

  /** Makes the folder, and those that it lies in, unless they are there. */
  folder(path: string, mode?: number): void {
    const missing: string[] = [];
    for (let at = resolve(path); !existsSync(at); at = dirname(at)) missing.unshift(at);
    for (const folder of missing) {
      mkdirSync(folder, { mode });
      this.#folders.push(folder);
    }
  }

  /** A new file, opened for writing. @throws Error with the system's code: `EEXIST` if it is there already */
  file(path: string, mode?: number): number {
    const fd = openSync(path, "wx", mode);
    this.#files.push(path);
    return fd;
  }

  /** Removes the files, and the folders that nobody has put anything into. */
  takeBack(): void {
    for (const file of this.#files.splice(0)) rmSync(file, { force: true });
    for (const folder of this.#folders.splice(0).reverse()) removeEmpty(folder);
  }
}

function removeEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // Somebody else uses it, or has removed it.
  }
}
