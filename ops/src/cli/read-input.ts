/** Files that were named on the command line. */
import { readFileSync } from "node:fs";
import { errnoOf, messageOf } from "@millrace/engine";
import { opsError } from "../errors.ts";

/** @throws CLI-USAGE the file cannot be read */
export function readInput(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw opsError("CLI-USAGE", unreadable(file, cause), { place: { file } });
  }
}

function unreadable(file: string, cause: unknown): string {
  switch (errnoOf(cause)) {
    case "ENOENT":
      return `there is no file ${file}`;
    case "EISDIR":
      return `${file} is a folder, not a file`;
    default:
      return `cannot read ${file}: ${messageOf(cause)}`;
  }
}
