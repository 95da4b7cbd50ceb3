/** The library that reads and writes YAML: a hundred files, which only processes that read graph files load. */
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
let library: typeof import("yaml") | undefined;

export function yamlLibrary(): typeof import("yaml") {
  library ??= require("yaml") as typeof import("yaml");
  return library;
}
