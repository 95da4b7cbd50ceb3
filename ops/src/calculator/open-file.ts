/** A calculator's file, or a built-in sample, in a process of its own, or a service; outside of any graph. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type LooseCalculator, openCalculator } from "@millrace/actors";
import { isServiceAddress, type Json, systemEnv } from "@millrace/engine";
import { unixWorkers } from "@millrace/streams/process";
import { programFor } from "../compile/calculator-process.ts";
import { processOf } from "../compile/hosted-library.ts";
import { opsError } from "../errors.ts";
import { openRest } from "./open-rest.ts";

export const SAMPLES = ["bubble-sort", "merge-sort", "quick-sort"] as const;

export interface FileOptions {
  readonly export?: string;
  readonly interpreter?: string;
  readonly config?: Json;
  /** Of a service: how it is called. */
  readonly rest?: Json;
  readonly deadlineMs: number;
  readonly memoryMib: number;
}

/** @throws CLI-USAGE, HOST-CALCULATOR, CALC-LOAD */
export function openFile(name: string, options: FileOptions): Promise<LooseCalculator> {
  if (isServiceAddress(name)) return openRest(name, options);
  const file = fileOf(name);
  const { deadlineMs, memoryMib, config = null } = options;
  const { overheadMib, ...command } = programFor(file, options.interpreter, memoryMib, { file: name });
  const env = systemEnv();
  const launch = {
    launcher: unixWorkers(env),
    command,
    ...(options.export === undefined ? {} : { export: options.export }),
    ...processOf({ file, config, graph: "", node: name }, memoryMib),
  };
  // What takes long may also take all processors for as long.
  return openCalculator({ ...launch, deadlineMs, memoryMib, overheadMib, cpuMs: deadlineMs * 100 }, env);
}

function fileOf(name: string): string {
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  if ((SAMPLES as readonly string[]).includes(name))
    return fileURLToPath(new URL(`./samples/${name}.${extension}`, import.meta.url));
  if (existsSync(name)) return resolve(name);
  throw opsError("CLI-USAGE", `there is no file ${name}, nor a sample of that name: ${SAMPLES.join(", ")}`, {
    place: { file: name },
  });
}
