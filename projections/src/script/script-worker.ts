/** The inside of a script's thread: one script, one call at a time. */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { loadInterpreter } from "./interpreter.ts";
import {
  compileProjectionScript,
  type ProjectionScript,
  type ScriptEvent,
  type ScriptLimits,
  type ScriptStates,
} from "./projection-script.ts";
import { reasonOf, ScriptFailure } from "./script-failure.ts";

export interface ScriptWorkerData {
  readonly query: string;
  readonly limits: ScriptLimits;
}

export type ScriptRequest =
  | { readonly call: "source" | "begin" | "states" }
  | { readonly call: "batch"; readonly events: readonly ScriptEvent[] }
  | { readonly call: "load"; readonly states: ScriptStates }
  | { readonly call: "state"; readonly partition: string };

export interface FailureReport {
  /** Absent when it is no fault of the script. */
  readonly code?: ScriptFailure["code"];
  readonly message: string;
}

export type ScriptAnswer = { readonly value: unknown } | { readonly failure: FailureReport };

/** Told once the thread can begin: what it took until then is the machine's time, not the script's. */
export type Ready = "ready";

function answer(script: ProjectionScript, request: ScriptRequest): unknown {
  switch (request.call) {
    case "source":
      return script.source;
    case "begin":
      return script.begin();
    case "states":
      return script.states();
    case "load":
      return script.load(request.states);
    case "batch":
      return script.batch(request.events);
    case "state":
      return script.state(request.partition);
  }
}

function failureOf(cause: unknown): FailureReport {
  return { ...(cause instanceof ScriptFailure && { code: cause.code }), message: reasonOf(cause) };
}

function serve(port: MessagePort, { query, limits }: ScriptWorkerData): void {
  const loading = loadInterpreter(limits);
  const compiling = loading
    .finally(() => port.postMessage("ready" satisfies Ready))
    .then((interpreter) => compileProjectionScript(interpreter, query, limits));
  // A failure is the answer to the first request.
  compiling.catch(() => undefined);
  port.on("message", (request: ScriptRequest) => {
    compiling
      .then((script) => answer(script, request))
      .then(
        (value) => port.postMessage({ value } satisfies ScriptAnswer),
        (cause: unknown) => port.postMessage({ failure: failureOf(cause) } satisfies ScriptAnswer),
      );
  });
}

const { script } = (workerData ?? {}) as { readonly script?: ScriptWorkerData };
if (parentPort !== null && script !== undefined) serve(parentPort, script);
