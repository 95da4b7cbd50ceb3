/**
 * A calculator in WebAssembly: the functions of `millrace_calculator.h`, exported by a module that imports nothing, so that it
 * reaches no file, no network and no clock. Its memory is limited in the module itself; what takes too long is ended with
 * the thread or process that it runs in.
 */
import { readFileSync } from "node:fs";
import type { PackedCalculator } from "./packed-calculator.ts";
import { limitMemory } from "./wasm-memory.ts";

export interface WasmOptions {
  readonly file: string;
  /** As msgpack. */
  readonly config: Uint8Array;
  readonly graph: string;
  readonly node: string;
  readonly memoryMib: number;
}

/** What is used of the engine's global, whose types only come with those of browsers. */
interface WasmEngine {
  readonly Module: {
    new (bytes: Uint8Array<ArrayBuffer>): object;
    imports(module: object): readonly { readonly module: string; readonly name: string }[];
  };
  readonly Instance: new (module: object, imports: object) => { readonly exports: object };
  readonly Memory: new (size: { readonly initial: number }) => WasmMemory;
}

interface WasmMemory {
  /** Another one after the memory has grown. */
  readonly buffer: ArrayBuffer;
}

const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: WasmEngine };

interface Exports {
  readonly memory: WasmMemory;
  ab_abi_version(): number;
  ab_open(config: number, host: number, state: number): number;
  ab_describe(state: number, out: number): number;
  ab_batch(state: number, rows: number, out: number): number;
  ab_snapshot?(state: number, out: number): number;
  ab_restore?(state: number, snapshot: number): number;
  ab_last_error(): number;
  ab_alloc(length: number): number;
  ab_free(bytes: number, length: number): void;
}

const REQUIRED = ["ab_open", "ab_describe", "ab_batch", "ab_last_error", "ab_alloc", "ab_free"] as const;
const ABI_VERSION = 1;
const MSGPACK = 1;
/** Sizes of the header's structures where pointers have 32 bits. */
const HOST_BYTES = 16;
const VIEW_BYTES = 24;
const OUT_BYTES = 16;

/** @throws Error why it is no calculator */
export function openWasm(options: WasmOptions): PackedCalculator {
  const module = new WebAssembly.Module(limitMemory(readFileSync(options.file), options.memoryMib));
  const [needed] = WebAssembly.Module.imports(module);
  if (needed !== undefined)
    throw new Error(
      `it imports ${needed.module}.${needed.name}: a calculator in WebAssembly gets nothing from outside`,
    );
  return new WasmCalculator(module, options);
}

class WasmCalculator implements PackedCalculator {
  readonly #module: object;
  readonly #options: WasmOptions;
  #exports: Exports;
  #state = 0;
  /** After a trap the memory may be in any state, and what was put there before it had no room is never freed. */
  #isBroken = false;

  constructor(module: object, options: WasmOptions) {
    this.#module = module;
    this.#options = options;
    this.#exports = this.#begin();
  }

  describe(): Uint8Array {
    return this.#answer((out) => this.#exports.ab_describe(this.#state, out));
  }

  batch(rows: Uint8Array, at: number): Uint8Array {
    if (this.#isBroken) this.#begin();
    return this.#with(rows, at, (view) => this.#answer((out) => this.#exports.ab_batch(this.#state, view, out)));
  }

  /** A module reaches nothing but its own memory. */
  takeOpens(): number {
    return 0;
  }

  snapshot(): Uint8Array {
    return this.#answer((out) => this.#exports.ab_snapshot?.(this.#state, out) ?? 1);
  }

  restore(state: Uint8Array | undefined): void {
    this.#begin();
    if (state === undefined) return;
    this.#with(state, 0, (view) => this.#call(() => this.#exports.ab_restore?.(this.#state, view) ?? 1));
  }

  /** Another instance, with a memory of its own. */
  #begin(): Exports {
    const exports = new WebAssembly.Instance(this.#module, {}).exports as unknown as Exports;
    const missing = REQUIRED.find((name) => typeof exports[name] !== "function");
    if (missing !== undefined || !(exports.memory instanceof WebAssembly.Memory))
      throw new Error(`it is no calculator: it exports no ${missing ?? "memory"}`);
    const version = exports.ab_abi_version();
    if (version !== ABI_VERSION)
      throw new Error(`it is made for version ${version} of millrace_calculator.h, this is ${ABI_VERSION}`);
    this.#exports = exports;
    this.#isBroken = false;
    const { config, graph, node } = this.#options;
    const texts = [graph, node].map((text) => this.#put(Buffer.from(`${text.replaceAll("\0", "")}\0`)));
    const host = this.#struct(HOST_BYTES, [HOST_BYTES, 0, texts[0] as number, texts[1] as number]);
    const state = this.#struct(4, [0]);
    this.#with(config, 0, (view) => this.#call(() => exports.ab_open(view, host, state)));
    this.#state = new DataView(exports.memory.buffer).getUint32(state, true);
    return exports;
  }

  #put(bytes: Uint8Array): number {
    const at = this.#room(Math.max(1, bytes.length));
    new Uint8Array(this.#exports.memory.buffer, at, bytes.length).set(bytes);
    return at;
  }

  /** Where there is none a module traps, or says 0, where its own data may be. */
  #room(length: number): number {
    let cause: unknown;
    try {
      const at = this.#exports.ab_alloc(length) >>> 0;
      if (at !== 0) return at;
    } catch (trap) {
      cause = trap;
    }
    this.#isBroken = true;
    throw new Error(`it has no room for ${length} bytes`, { cause });
  }

  #struct(size: number, words: readonly number[]): number {
    const bytes = new Uint8Array(size);
    const view = new DataView(bytes.buffer);
    for (const [i, word] of words.entries()) view.setUint32(4 * i, word, true);
    return this.#put(bytes);
  }

  #with<T>(bytes: Uint8Array, at: number, work: (view: number) => T): T {
    const copy = this.#put(bytes);
    const view = this.#struct(VIEW_BYTES, [VIEW_BYTES, MSGPACK, copy, bytes.length]);
    new DataView(this.#exports.memory.buffer).setFloat64(view + 16, at, true);
    const result = work(view);
    this.#exports.ab_free(view, VIEW_BYTES);
    this.#exports.ab_free(copy, Math.max(1, bytes.length));
    return result;
  }

  #answer(call: (out: number) => number): Uint8Array {
    const out = this.#struct(OUT_BYTES, [OUT_BYTES, MSGPACK, 0, 0]);
    this.#call(() => call(out));
    const view = new DataView(this.#exports.memory.buffer, out, OUT_BYTES);
    const answer = new Uint8Array(
      this.#exports.memory.buffer,
      view.getUint32(8, true),
      view.getUint32(12, true),
    ).slice();
    this.#exports.ab_free(out, OUT_BYTES);
    return answer;
  }

  #call(work: () => number): void {
    let status: number;
    try {
      status = work();
    } catch (trap) {
      this.#isBroken = true;
      // A panic leaves its message before it traps.
      const said = this.#lastError();
      throw new Error(said === "" ? `trapped: ${(trap as Error).message}` : said, { cause: trap });
    }
    if (status === 0) return;
    this.#isBroken = true;
    throw new Error(this.#lastError() || "it does not say why");
  }

  #lastError(): string {
    try {
      const bytes = new Uint8Array(this.#exports.memory.buffer, this.#exports.ab_last_error());
      return Buffer.from(bytes.subarray(0, bytes.indexOf(0))).toString();
    } catch {
      return "";
    }
  }
}
