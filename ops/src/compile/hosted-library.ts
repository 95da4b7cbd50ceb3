/** Compiled code behind the C ABI where Node runs it: as a module whose configuration says which file it stands for. */
import { fileURLToPath } from "node:url";
import type { Json } from "@millrace/engine";
import type { LibraryOptions } from "@millrace/native";
import { languageOf } from "./calculator-process.ts";

export interface HostedLibrary {
  readonly url: string;
  readonly config: Json;
}

const MODULE = import.meta.url.endsWith(".ts")
  ? new URL("../calculator/library-module.ts", import.meta.url)
  : new URL("../calculator/library-module.js", import.meta.url);
let modules = 0;

/** `isShared`: other libraries are in the same thread, and each needs a module of its own. */
export function hostedLibrary(options: LibraryOptions & { readonly isShared: boolean }): HostedLibrary {
  const { isShared, ...config } = options;
  return { url: isShared ? `${MODULE.href}?${++modules}` : MODULE.href, config };
}

interface Origin {
  readonly file: string;
  readonly config: Json;
  readonly graph: string;
  readonly node: string;
}

/** What a process is told to load: the file itself, or for WebAssembly the module that stands for it, which may keep state. */
export function processOf(origin: Origin, memoryMib: number): Origin & { readonly export?: string } {
  if (languageOf(origin.file) !== "wasm") return origin;
  return { ...origin, file: fileURLToPath(MODULE), export: "stateful", config: { ...origin, memoryMib } };
}
