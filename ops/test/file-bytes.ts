import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Of all files below a directory that is in use. A file that is renamed between the list and the reading begins it anew. */
export function bytesBelow(directory: string): Buffer {
  for (;;) {
    try {
      return bytesIn(directory);
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== "ENOENT") throw thrown;
    }
  }
}

function bytesIn(path: string): Buffer {
  const parts = readdirSync(path, { withFileTypes: true }).map((entry) => {
    if (entry.isDirectory()) return bytesIn(join(path, entry.name));
    return entry.isFile() ? readFileSync(join(path, entry.name)) : Buffer.alloc(0);
  });
  return Buffer.concat(parts);
}
