/**
 * A script in a thread of its own: what takes long in it holds up nobody, and one that does not come back is ended by a watchdog. The
 * interpreter's own limit of steps says at the same event everywhere that a script loops; the watchdog is for what the
 * interpreter does not count, as building one huge text.
 */
import { Worker } from "node:worker_threads";
import { type Env, type Json, MillraceError } from "@millrace/engine";
import { projectionError } from "../errors.ts";
import type { ScriptBatch, ScriptEvent, ScriptLimits, ScriptSource, ScriptStates } from "./projection-script.ts";
import type { FailureReport, Ready, ScriptAnswer, ScriptRequest, ScriptWorkerData } from "./script-worker.ts";

export interface ScriptThreadOptions {
  readonly env: Env;
  readonly limits?: ScriptLimits;
  /** Longest that one call may take; default 3 s. */
  readonly callMsMax?: number;
}

const CALL_MS_MAX = 3000;
/** For the thread and its interpreter to be there, on a machine that has much else to do. */
const START_MS_MAX = 30_000;
/** What surrounds the interpreter, whose own memory is bounded apart: answers on their way out. */
const HEAP_MB_MAX = 512;

/**
 * Compiles a script in a new thread.
 *
 * @throws PROJECTION-SCRIPT it does not compile, has no source, or asks for what there is not
 * @throws PROJECTION-LIMIT it takes too long
 */
export async function openProjectionScript(query: string, options: ScriptThreadOptions): Promise<ScriptThread> {
  const thread = new ScriptThread(query, options);
  try {
    await thread.open();
    return thread;
  } catch (thrown) {
    await thread.close();
    throw thrown;
  }
}

export class ScriptThread {
  readonly #worker: Worker;
  readonly #env: Env;
  readonly #callMsMax: number;
  #last: Promise<unknown> = Promise.resolve();
  #source: ScriptSource | undefined;
  #isEnded = false;

  constructor(query: string, { env, limits = {}, callMsMax = CALL_MS_MAX }: ScriptThreadOptions) {
    this.#env = env;
    this.#callMsMax = callMsMax;
    const script: ScriptWorkerData = { query, limits };
    // Flags of the process, such as export conditions, are not meant for built code.
    const resourceLimits = { maxOldGenerationSizeMb: HEAP_MB_MAX };
    this.#worker = new Worker(entry(), { workerData: { script }, execArgv: [], resourceLimits });
    this.#worker.on("exit", () => {
      this.#isEnded = true;
    });
    this.#worker.on("error", () => {
      this.#isEnded = true;
    });
    this.#worker.unref();
  }

  async open(): Promise<void> {
    await this.#wait(START_MS_MAX, () => {});
    this.#source = (await this.#ask({ call: "source" })) as ScriptSource;
  }

  get source(): ScriptSource {
    if (this.#source === undefined) throw projectionError("PROJECTION-SCRIPT", "the script is not compiled");
    return this.#source;
  }

  async load(states: ScriptStates): Promise<void> {
    await this.#ask({ call: "load", states });
  }

  /** Makes the state that there is before any event. */
  async begin(): Promise<void> {
    await this.#ask({ call: "begin" });
  }

  /** @throws PROJECTION-LIMIT the batch takes too long or too much memory; the script must not be used again */
  async batch(events: readonly ScriptEvent[]): Promise<ScriptBatch> {
    return (await this.#ask({ call: "batch", events })) as ScriptBatch;
  }

  /** Of one partition; empty for one that has none. */
  async state(partition: string): Promise<{ readonly state?: Json; readonly result?: Json }> {
    return (await this.#ask({ call: "state", partition })) as { readonly state?: Json; readonly result?: Json };
  }

  async states(): Promise<ScriptStates> {
    return (await this.#ask({ call: "states" })) as ScriptStates;
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  /** One call at a time: the next waits, and its time begins when it is sent. */
  #ask(request: ScriptRequest): Promise<unknown> {
    const asked = this.#last.catch(() => undefined).then(() => this.#send(request));
    this.#last = asked;
    return asked;
  }

  #send(request: ScriptRequest): Promise<unknown> {
    return this.#wait(this.#callMsMax, () => this.#worker.postMessage(request));
  }

  /** The next message of the thread. */
  #wait(msMax: number, begin: () => void): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const worker = this.#worker;
      const watchdog = this.#env.timers.after(msMax, () => {
        settle(() => reject(limit(`it took more than ${msMax} ms`)));
        void worker.terminate();
      });
      const settle = (then: () => void): void => {
        watchdog.cancel();
        worker.off("message", onMessage).off("error", onError).off("exit", onExit);
        worker.unref();
        then();
      };
      const onMessage = (answer: ScriptAnswer | Ready): void =>
        settle(() =>
          answer === "ready"
            ? resolve(undefined)
            : "value" in answer
              ? resolve(answer.value)
              : reject(errorOf(answer.failure)),
        );
      const onError = (error: Error): void => settle(() => reject(limit(error.message)));
      const onExit = (): void => settle(() => reject(limit("its thread ended")));
      if (this.#isEnded) {
        watchdog.cancel();
        reject(limit("its thread ended"));
        return;
      }
      worker.on("message", onMessage).on("error", onError).on("exit", onExit);
      worker.ref();
      begin();
    });
  }
}

/** Tests run sources, which a thread cannot load; what is built beside them is the same. */
function entry(): URL {
  return import.meta.url.endsWith(".ts")
    ? new URL("../../dist/script/script-worker.js", import.meta.url)
    : new URL("./script-worker.js", import.meta.url);
}

function limit(why: string): Error {
  return projectionError("PROJECTION-LIMIT", `the projection was ended: ${why}`);
}

function errorOf({ code, message }: FailureReport): Error {
  return code === undefined ? new MillraceError("UNEXPECTED", "terminal", message) : projectionError(code, message);
}
