/**
 * The calculator module that stands for a sandboxed script inside of a thread or process of this host. Its `config` says which. The
 * default export keeps no state; `stateful` may, in a process of its own.
 */
import { readFileSync } from "node:fs";
import { actorError, type CalculatorContext, stripTypes } from "@millrace/actors";
import type { Json } from "@millrace/engine";
import { SandboxedScript } from "./sandboxed-script.ts";

export interface ScriptOptions {
  readonly file: string;
  /** Which export of the script; empty: the default one. */
  readonly export: string;
  readonly config: Json;
  readonly memoryMib: number;
}

let script: SandboxedScript | undefined;
let options: ScriptOptions | undefined;

function given(): ScriptOptions {
  if (options === undefined) throw new Error("a script is used after it was loaded");
  return options;
}

async function load(from: ScriptOptions): Promise<void> {
  options = from;
  const text = readFileSync(from.file, "utf8");
  const source = /\.m?ts$/.test(from.file) ? stripTypes(text, from.file) : text;
  script = await SandboxedScript.open({ ...from, source });
  if (script.parts.has("init")) script.call("init", from.config);
}

async function loadStateless(from: ScriptOptions): Promise<void> {
  await load(from);
  if (script?.parts.has("snapshot") !== true) return;
  const why = "the module keeps state (it has snapshot()): run it with `isolation: process`";
  throw actorError("CALC-LOAD", why, { place: { file: from.file } });
}

/** A script that broke its interpreter, or filled it, gets another one; what it held is gone. */
async function whole(): Promise<SandboxedScript> {
  if (script === undefined || script.isBroken) await load(given());
  return script as SandboxedScript;
}

function calculate(row: Json, context?: CalculatorContext): unknown {
  const { at = 0, graph = "", node = "" } = context ?? {};
  const run = (on: SandboxedScript): Json | undefined => on.call("calculate", row, { at, graph, node });
  return script === undefined || script.isBroken ? whole().then(run) : run(script);
}

const details = (): Json => (script?.parts.has("details") === true ? (script.call("details") ?? null) : null);

export default { calculate, details, init: loadStateless };

export const stateful: object = {
  calculate,
  details,
  init: load,
  snapshot: (): Json => (script?.parts.has("snapshot") === true ? (script.call("snapshot") ?? null) : null),
  restore: async (state: Json): Promise<void> => {
    const on = await whole();
    if (on.parts.has("restore")) on.call("restore", state);
  },
};
