/**
 * The address of the care socket of a data directory. Addresses of Unix sockets are short (sun_path has 108 bytes, on macOS 104): one that
 * is too long is reached through the open directory instead, where the system has `/proc`.
 */
import { open } from "node:fs/promises";
import { join } from "node:path";

const NAME = "care.sock";
const PATH_BYTES_MAX = 100;

/** Calls `use` with a path that holds while it runs. */
export async function withSocketPath<T>(directory: string, use: (path: string) => Promise<T>): Promise<T> {
  const path = join(directory, NAME);
  if (Buffer.byteLength(path) <= PATH_BYTES_MAX) return use(path);
  const folder = await open(directory, "r");
  try {
    return await use(`/proc/self/fd/${folder.fd}/${NAME}`);
  } finally {
    await folder.close();
  }
}
