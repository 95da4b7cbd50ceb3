/** Folders whose names outlive a power cut: a file's bytes are worth nothing without its name. */
import { mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";

/** Makes a folder and those above it, and their names durable. */
export async function makeFolders(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true });
  if (first === undefined) return;
  for (let made = folder; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made));
}

/** Makes the names in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
