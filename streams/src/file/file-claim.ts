/**
 * Which file a sink has begun, written down beside its data and durable before the first byte goes to the file. What a crash
 * leaves in the file before anything is committed is known by it as the sink's own; all else that lies there is somebody's.
 */
import { type FileHandle, open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { makeFolders, syncFolder } from "./durable-folder.ts";
import { codeOf } from "./errors.ts";

export class FileClaim {
  readonly #path: string;

  /** @param path of the file that it is written down in; folders on the way are made */
  constructor(path: string) {
    this.#path = path;
  }

  async holds(file: FileHandle): Promise<boolean> {
    return (await this.#written()) === (await identityOf(file));
  }

  async make(file: FileHandle): Promise<void> {
    await makeFolders(dirname(this.#path));
    const draft = `${this.#path}.new`;
    const handle = await open(draft, "w");
    try {
      await handle.writeFile(await identityOf(file));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(draft, this.#path);
    await syncFolder(dirname(this.#path));
  }

  async #written(): Promise<string | undefined> {
    try {
      return await readFile(this.#path, "utf8");
    } catch (cause) {
      if (codeOf(cause) === "ENOENT") return undefined;
      throw cause;
    }
  }
}

/** A file that takes the place of another may get its inode, but is born later. Numbers of devices change when a machine starts. */
async function identityOf(file: FileHandle): Promise<string> {
  const { ino, birthtimeNs } = await file.stat({ bigint: true });
  return `${JSON.stringify({ inode: `${ino}`, bornNs: `${birthtimeNs}` })}\n`;
}
