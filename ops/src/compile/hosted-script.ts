/** A script in a sandbox, where Node runs it: as a module whose configuration says which file it stands for. */
import { fileURLToPath } from "node:url";
import type { Json } from "@millrace/engine";
import type { ScriptOptions } from "../calculator/script-module.ts";

export interface HostedScript {
  readonly url: string;
  readonly config: Json;
}

const MODULE = import.meta.url.endsWith(".ts")
  ? new URL("../calculator/script-module.ts", import.meta.url)
  : new URL("../calculator/script-module.js", import.meta.url);

/** In a thread of its own, so that one module is one script. */
export function hostedScript(script: ScriptOptions): HostedScript {
  return { url: MODULE.href, config: { ...script } };
}

interface ProcessScript {
  readonly file: string;
  /** The part of the module that may keep state. */
  readonly export: string;
  readonly config: Json;
}

/** The same in a process of its own. */
export function scriptProcess(script: ScriptOptions): ProcessScript {
  return { file: fileURLToPath(MODULE), export: "stateful", config: { ...script } };
}
