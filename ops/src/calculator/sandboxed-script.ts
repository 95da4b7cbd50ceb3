/**
 * A calculator's script in an interpreter of its own, QuickJS compiled to WebAssembly: it has the language and nothing else. No file,
 * network, environment, timer, module or global of the host is in its reach, since none was put there; its memory cannot grow beyond
 * its limit, because WebAssembly's own memory cannot. What goes in and what comes out is text.
 *
 * Time is not limited here: who runs it ends its thread or process.
 */
import { actorError, reported } from "@millrace/actors";
import type { Json, Place } from "@millrace/engine";
import { loadInterpreter } from "@millrace/projections/script";
import type { QuickJSContext, QuickJSHandle, QuickJSRuntime } from "quickjs-emscripten-core";
import { SANDBOX_PRELUDE } from "./sandbox-prelude.ts";

export interface SandboxOptions {
  /** Absolute path, for places in messages; it is not opened. */
  readonly file: string;
  /** An ES module without imports, in JavaScript. */
  readonly source: string;
  /** Which export is the calculator; empty: the default one. */
  readonly export: string;
  /** Of the interpreter with all that it holds; at least 16. */
  readonly memoryMib: number;
}

type Part = "calculate" | "init" | "details" | "snapshot" | "restore";

/** What the prelude answers; a script may have put anything in its place. */
interface Answer {
  readonly value?: Json;
  readonly code?: string;
  readonly message?: string;
  readonly stack?: string;
  readonly path?: string;
}

const MIB = 1024 * 1024;
/** Less than the host's own stack has room for, so that the interpreter notices first. */
const STACK_BYTES_MAX = 256 * 1024;

export class SandboxedScript {
  readonly #options: SandboxOptions;
  readonly #runtime: QuickJSRuntime;
  readonly #context: QuickJSContext;
  readonly #bridge: QuickJSHandle;
  readonly parts: ReadonlySet<string>;
  /** It ran out of memory or broke its interpreter: what is left of it must not be used again. */
  isBroken = false;

  /** @throws CALC-LOAD with the line where it does not load, or that it is no calculator */
  static async open(options: SandboxOptions): Promise<SandboxedScript> {
    const interpreter = await loadInterpreter({ memoryBytesMax: options.memoryMib * MIB });
    return new SandboxedScript(interpreter.newRuntime(), options);
  }

  private constructor(runtime: QuickJSRuntime, options: SandboxOptions) {
    this.#options = options;
    this.#runtime = runtime;
    runtime.setMaxStackSize(STACK_BYTES_MAX);
    this.#context = runtime.newContext();
    this.#bridge = this.#context.unwrapResult(this.#context.evalCode(SANDBOX_PRELUDE, "sandbox.js"));
    try {
      this.parts = this.#adopt();
    } catch (thrown) {
      throw this.#didNotLoad(thrown);
    }
    if (!this.parts.has("calculate")) throw this.#didNotLoad(new Error(noCalculator(options.export)));
  }

  #adopt(): ReadonlySet<string> {
    const { file, source, export: name } = this.#options;
    const context = this.#context;
    const evaluated = context.unwrapResult(context.evalCode(source, file, { type: "module" }));
    const exported = this.#settled(evaluated);
    const names = context.unwrapResult(context.callMethod(this.#bridge, "adopt", [exported, context.newString(name)]));
    return new Set(context.getString(names).split(","));
  }

  /** Nothing outside settles a promise of a script: when its own jobs are done, it is settled or never will be. */
  #settled(handle: QuickJSHandle): QuickJSHandle {
    const context = this.#context;
    this.#runtime.executePendingJobs().dispose();
    const state = context.getPromiseState(handle);
    if (state.type === "fulfilled") return state.value;
    if (state.type === "rejected") return context.unwrapResult(state);
    throw new Error("it waits for what never comes: nothing in a sandbox settles this promise");
  }

  /**
   * Calls a part with JSON.
   * @throws CALC-THREW, CALC-RESULT, CALC-OOM with the place in the script
   */
  call(part: Part, ...given: readonly Json[]): Json | undefined {
    let answer: Answer;
    try {
      answer = this.#ask(part, JSON.stringify(given));
    } catch (thrown) {
      throw this.#broke(thrown);
    }
    if (answer.code === undefined) return answer.value;
    if (isOutOfMemory(String(answer.message))) throw this.#broke(new Error(answer.message));
    const place = answer.path === undefined ? this.#placeIn(answer.stack) : { path: String(answer.path) };
    throw reported(answer.code, String(answer.message), place);
  }

  #ask(part: Part, given: string): Answer {
    const context = this.#context;
    const handles = [context.newString(part), context.newString(given)];
    const result = context.unwrapResult(context.callMethod(this.#bridge, "call", handles));
    const settled = context.typeof(result) === "string" ? result : this.#settled(result);
    const said: unknown = JSON.parse(context.getString(settled));
    for (const handle of new Set([...handles, result, settled])) handle.dispose();
    if (this.#runtime.hasPendingJob()) this.#runtime.executePendingJobs().dispose();
    return (typeof said === "object" ? (said ?? {}) : {}) as Answer;
  }

  #broke(thrown: unknown): Error {
    this.isBroken = true;
    const { memoryMib, file } = this.#options;
    const message = reasonOf(thrown);
    if (isOutOfMemory(message))
      return reported("CALC-OOM", `the script used more than ${memoryMib} MiB of memory`, { file });
    return reported("CALC-THREW", message, { file });
  }

  #didNotLoad(thrown: unknown): Error {
    const { file } = this.#options;
    const { cause, stack } = thrown as { readonly cause?: { readonly stack?: string } | null; readonly stack?: string };
    const place = this.#placeIn(cause?.stack ?? stack);
    return actorError("CALC-LOAD", `${file} does not load: ${reasonOf(thrown)}`, { place, cause: thrown });
  }

  /** Frames of the interpreter say `at name (file:line:column)`. */
  #placeIn(stack: string | undefined): Place {
    const { file } = this.#options;
    const at = stack?.indexOf(`${file}:`) ?? -1;
    const found = at < 0 ? null : /^(\d+)(?::(\d+))?/.exec((stack ?? "").slice(at + file.length + 1));
    if (found === null) return { file };
    return { file, line: Number(found[1]), ...(found[2] === undefined ? {} : { column: Number(found[2]) }) };
  }
}

const OUT_OF_MEMORY = "out of memory";
const isOutOfMemory = (message: string): boolean => /out of memory|memory access/.test(message);

/** What a script threw is the cause of what its interpreter throws. Without memory not even an error can be made: it is null. */
function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  if (!("cause" in thrown)) return `${thrown.name}: ${thrown.message}`;
  const { cause } = thrown;
  if (cause === null) return `${OUT_OF_MEMORY}, or null was thrown`;
  if (typeof cause !== "object") return `threw ${String(cause)}, which is not an Error`;
  const { name, message } = cause as { readonly name?: unknown; readonly message?: unknown };
  return `${String(name)}: ${String(message)}`;
}

const noCalculator = (name: string): string =>
  name === ""
    ? "the module exports neither a default function nor calculate(row)"
    : `the module's export \`${name}\` is no calculator`;
