/**
 * A projection in the language of EventStoreDB, run in the calling thread by QuickJS compiled to WebAssembly: a script reaches nothing but what the prelude
 * gives it. Its time is counted in steps of the interpreter instead of by a clock, so that a script that ends here ends
 * everywhere at the same event; its memory is bounded.
 */
import type { Json } from "@millrace/engine";
import type { QuickJSContext, QuickJSHandle, QuickJSRuntime, QuickJSWASMModule } from "quickjs-emscripten-core";
import { PRELUDE } from "./prelude.ts";
import { reasonOf, ScriptFailure } from "./script-failure.ts";

/** What a script reads, and how it groups it. */
export interface ScriptSource {
  readonly all: boolean;
  readonly streams: readonly string[];
  readonly categories: readonly string[];
  readonly byStream: boolean;
  readonly byCustom: boolean;
  /** True when results go to a stream. */
  readonly outputs: boolean;
  /** Types that it handles; `null` for any. */
  readonly types: readonly string[] | null;
  /** True when it handles deleted streams. */
  readonly deletions: boolean;
  readonly options: {
    readonly resultStreamName?: string;
    readonly partitionResultStreamNamePattern?: string;
    readonly $includeLinks?: boolean;
  };
}

/** An event as a handler gets it. `data` is the parsed JSON, or nothing for bytes. */
export interface ScriptEvent {
  readonly isJson: boolean;
  readonly data: Json | undefined;
  readonly bodyRaw: string;
  readonly sequenceNumber: number;
  readonly metadata: Json | undefined;
  readonly metadataRaw: string;
  readonly linkMetadataRaw: string;
  readonly eventType: string;
  readonly streamId: string;
  readonly eventId: string;
  /** ISO 8601. */
  readonly created: string;
  /** The stream was deleted; only `$deleted` is called. */
  readonly isDeletion?: boolean;
}

/** One of: an event to write, a link, a link to a whole stream. */
export interface ScriptEffect {
  readonly stream: string;
  readonly type?: string;
  readonly body?: Json;
  /** `revision@stream`. */
  readonly link?: string;
  readonly reference?: string;
  readonly metadata?: Json;
}

export interface ScriptBatch {
  /** Events that were handled before one failed. */
  readonly handled: number;
  /** Why a handler failed. */
  readonly failure: string | null;
  readonly effects: readonly ScriptEffect[];
  /** Partitions whose state may have changed: name, state, result. */
  readonly changed: readonly (readonly [partition: string, state: Json, result: Json])[];
  readonly shared?: Json;
  /** How many partitions have a state. */
  readonly partitions: number;
}

export interface ScriptStates {
  readonly states: readonly (readonly [partition: string, state: Json])[];
  readonly shared?: Json;
}

export interface ScriptLimits {
  /** Of the interpreter with all that it holds; 16 MiB or more, default 64 MiB. */
  readonly memoryBytesMax?: number;
  /** Of one batch, in 10,000s of the interpreter's steps, about; default 1000, which is less than a second. */
  readonly stepsMax?: number;
}

const MEMORY_BYTES_MAX = 64 << 20;
const STACK_BYTES_MAX = 512 << 10;
const STEPS_MAX = 1000;
const QUERY_CHARS_MAX = 256 << 10;

/** Compiles a script. @throws PROJECTION-SCRIPT it does not compile, has no source, or asks for what there is not */
export function compileProjectionScript(
  interpreter: QuickJSWASMModule,
  query: string,
  limits: ScriptLimits = {},
): ProjectionScript {
  if (query.length > QUERY_CHARS_MAX)
    throw new ScriptFailure("PROJECTION-SCRIPT", `the script is longer than ${QUERY_CHARS_MAX} characters`);
  // The interpreter would read up to it.
  if (query.includes("\0")) throw new ScriptFailure("PROJECTION-SCRIPT", "the script has a NUL in it");
  const script = new ProjectionScript(interpreter, limits);
  try {
    script.compile(query);
    return script;
  } catch (thrown) {
    script.dispose();
    throw thrown;
  }
}

export class ProjectionScript {
  readonly #runtime: QuickJSRuntime;
  readonly #context: QuickJSContext;
  readonly #stepsMax: number;
  #steps = 0;
  #source: ScriptSource | undefined;

  constructor(module: QuickJSWASMModule, { memoryBytesMax = MEMORY_BYTES_MAX, stepsMax = STEPS_MAX }: ScriptLimits) {
    this.#stepsMax = stepsMax;
    this.#runtime = module.newRuntime();
    this.#runtime.setMemoryLimit(memoryBytesMax);
    this.#runtime.setMaxStackSize(STACK_BYTES_MAX);
    this.#runtime.setInterruptHandler(() => ++this.#steps > this.#stepsMax);
    this.#context = this.#runtime.newContext();
  }

  /** @throws PROJECTION-SCRIPT */
  compile(query: string): void {
    try {
      this.#eval(PRELUDE, "prelude.js");
      this.#eval(query, "query.js");
      // Written by the prelude.
      this.#source = JSON.parse(this.#call("__describe")) as ScriptSource;
    } catch (cause) {
      throw new ScriptFailure("PROJECTION-SCRIPT", `the projection does not compile: ${reasonOf(cause)}`, { cause });
    }
    const { all, streams, categories } = this.#source;
    if (!all && streams.length === 0 && categories.length === 0)
      throw new ScriptFailure(
        "PROJECTION-SCRIPT",
        "the projection does not compile: it names no source, as fromAll() does",
      );
  }

  get source(): ScriptSource {
    if (this.#source === undefined) throw new ScriptFailure("PROJECTION-SCRIPT", "the script is not compiled");
    return this.#source;
  }

  load(states: ScriptStates): void {
    this.#run("__load", JSON.stringify(states));
  }

  /** Makes the state that there is before any event. */
  begin(): void {
    this.#run("__begin");
  }

  /** @throws PROJECTION-LIMIT the batch takes too long or too much memory; the script must not be used again */
  batch(events: readonly ScriptEvent[]): ScriptBatch {
    return JSON.parse(this.#run("__batch", JSON.stringify(events))) as ScriptBatch;
  }

  /** Of one partition; empty for one that has none. */
  state(partition: string): { readonly state?: Json; readonly result?: Json } {
    return JSON.parse(this.#run("__state", JSON.stringify(partition))) as {
      readonly state?: Json;
      readonly result?: Json;
    };
  }

  states(): ScriptStates {
    return JSON.parse(this.#run("__all")) as ScriptStates;
  }

  dispose(): void {
    this.#context.dispose();
    this.#runtime.dispose();
  }

  #run(name: string, ...args: readonly string[]): string {
    try {
      return this.#call(name, ...args);
    } catch (cause) {
      throw new ScriptFailure("PROJECTION-LIMIT", `the projection was ended: ${reasonOf(cause)}`, { cause });
    }
  }

  #eval(code: string, file: string): void {
    this.#steps = 0;
    const result = this.#context.evalCode(code, file);
    if (result.error !== undefined) throw this.#thrown(result.error);
    result.value.dispose();
  }

  #call(name: string, ...args: readonly string[]): string {
    this.#steps = 0;
    const context = this.#context;
    const handles: QuickJSHandle[] = [];
    try {
      const called = context.getProp(context.global, name);
      handles.push(called);
      const given = args.map((arg) => context.newString(arg));
      handles.push(...given);
      const result = context.callFunction(called, context.undefined, ...given);
      if (result.error !== undefined) throw this.#thrown(result.error);
      handles.push(result.value);
      return context.getString(result.value);
    } finally {
      for (const handle of handles) handle.dispose();
    }
  }

  #thrown(error: QuickJSHandle): Error {
    const dumped: unknown = this.#context.dump(error);
    error.dispose();
    const { name = "Error", message = String(dumped) } = (dumped ?? {}) as { name?: string; message?: string };
    // Of handlers the prelude catches what they throw; without memory not even an error can be made.
    if (dumped === null) return new Error("it ran out of memory, or threw null");
    if (message === "interrupted") return new Error("it took too many steps");
    return new Error(name === "InternalError" ? message : `${name}: ${message}`);
  }
}
