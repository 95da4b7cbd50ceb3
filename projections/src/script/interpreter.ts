/** QuickJS compiled to WebAssembly, for code that is not to be trusted: it has its language, and what is put into it. */
import type { QuickJSSyncVariant, QuickJSWASMModule } from "quickjs-emscripten-core";

export interface InterpreterLimits {
  /** Of the interpreter with all that it holds; 16 MiB or more, default 64 MiB. */
  readonly memoryBytesMax?: number;
}

const MEMORY_BYTES_MAX = 64 << 20;
/** Node has it; the types of Node 20 do not. */
declare const WebAssembly: {
  readonly Memory: new (pages: { readonly initial: number; readonly maximum: number }) => object;
};

const PAGE_BYTES = 64 << 10;
/** What the interpreter begins with. */
const PAGES_MIN = 256;
/**
 * Loads an interpreter for one script, only when there is one: most hosts run none. Its memory cannot grow beyond the limit; the
 * limit that the interpreter keeps itself sees single allocations only, not what they come to.
 */
export async function loadInterpreter({
  memoryBytesMax = MEMORY_BYTES_MAX,
}: InterpreterLimits = {}): Promise<QuickJSWASMModule> {
  const { newQuickJSWASMModuleFromVariant, newVariant } = await import("quickjs-emscripten-core");
  // Its types are written as CommonJS, where the default is one deeper than in the module that is loaded.
  const loaded = (await import("@jitl/quickjs-wasmfile-release-sync")) as { readonly default: unknown };
  const variant = loaded.default as QuickJSSyncVariant;
  const maximum = Math.max(PAGES_MIN, Math.floor(memoryBytesMax / PAGE_BYTES));
  const wasmMemory = new WebAssembly.Memory({ initial: PAGES_MIN, maximum });
  return newQuickJSWASMModuleFromVariant(newVariant(variant, { wasmMemory }));
}
