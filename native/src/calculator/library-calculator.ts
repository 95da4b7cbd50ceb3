/**
 * A calculator behind the C ABI (native/sdk/c) inside of this process: a shared library by the addon, where nothing protects
 * the process from it, or WebAssembly, which can reach nothing but its own memory.
 */
import type { Json, StateEvent } from "@millrace/engine";
import { Msgpack } from "@millrace/engine/msgpack";
import { addonState, loadAddon, type NativeCalculator } from "../addon.ts";
import type { PackedCalculator } from "./packed-calculator.ts";
import { openWasm } from "./wasm-calculator.ts";

export interface LibraryOptions {
  /** Absolute path: `.wasm`, or else a shared library. */
  readonly file: string;
  readonly config: Json;
  readonly graph: string;
  readonly node: string;
  /** Most memory that WebAssembly may have, in MiB; nothing limits a library. */
  readonly memoryMib: number;
}

/** What became of a row: no message, its messages, or why there are none. */
export type LibraryOutcome =
  | null
  | readonly Json[]
  | {
      readonly code: string;
      readonly msg: string;
      readonly place?: { readonly file: string; readonly line?: number } | null;
    };

/** By the SHA-256 of their content. */
export type PayloadPlaces = Readonly<
  Record<string, { readonly path: string; readonly offset: number; readonly length: number; readonly format: string }>
>;

export interface LibraryCalculator {
  readonly isStateful: boolean;
  readonly details: Json;
  /**
   * One outcome per row; fewer of a stateful calculator, which ends at a row that fails. `places`: where payloads lie that the
   * rows name, pinned until this returns; absent: none by reference can be opened, as in WebAssembly.
   *
   * @throws the batch has no answer
   */
  batch(rows: readonly Json[], at: number, places?: PayloadPlaces): readonly LibraryOutcome[];
  /** Payloads that were opened since it was last asked. None is ever copied. */
  takeOpens(): number;
  snapshot(): StateEvent;
  /** A new instance; `null`: without state. */
  restore(state: StateEvent): void;
}

// An integer beyond 2^53 is no JSON.
const msgpack = new Msgpack({ isForeign: true, integers: "exact" });

/** @throws Error why the file is no calculator, or why nothing here can run it */
export function openLibraryCalculator(options: LibraryOptions): LibraryCalculator {
  const config = msgpack.pack(options.config);
  const packed = options.file.endsWith(".wasm") ? openWasm({ ...options, config }) : openNative(options, config);
  const about = msgpack.unpack(packed.describe()) as { readonly stateful?: unknown; readonly details?: Json };
  return {
    isStateful: about.stateful === true,
    details: about.details ?? null,
    batch(rows, at, places) {
      const answer: unknown = msgpack.unpack(packed.batch(msgpack.pack(rows), at, packedPlaces(places)));
      if (!Array.isArray(answer)) throw new Error("the answer to a batch is no list");
      return answer as readonly LibraryOutcome[];
    },
    takeOpens: () => packed.takeOpens(),
    snapshot: () => msgpack.unpack(packed.snapshot()) as StateEvent,
    restore: (state) => packed.restore(state === null ? undefined : msgpack.pack(state)),
  };
}

/** An empty map. */
const NO_PLACES = Uint8Array.of(0x80);

function packedPlaces(places: PayloadPlaces | undefined): Uint8Array | undefined {
  if (places === undefined) return undefined;
  return Object.keys(places).length === 0 ? NO_PLACES : msgpack.pack(places);
}

const SHARED_BYTES = 64 * 1024;

function openNative({ file, graph, node }: LibraryOptions, config: Uint8Array): PackedCalculator {
  const addon = loadAddon();
  if (addon === undefined) {
    const state = addonState();
    const reason = state.inUse ? "" : `: ${state.reason}`;
    throw new Error(`a library runs inside of the host by the native addon, which is not here${reason}`);
  }
  const shared = new Uint8Array(SHARED_BYTES);
  const answer = new Uint8Array(SHARED_BYTES);
  const calculator: NativeCalculator = new addon.NativeCalculator(file, config, graph, node, shared, answer);
  const { number } = calculator;
  const unable = (): never => {
    throw new Error("a library inside of the host keeps no state");
  };
  return {
    describe: () => calculator.describe(),
    batch(rows, at, places) {
      const fits = rows.length <= shared.length;
      if (fits) shared.set(rows);
      const length = fits
        ? addon.calculatorBatch(number, rows.length, at, places)
        : calculator.longBatch(rows, at, places);
      return length <= answer.length ? answer.subarray(0, length) : calculator.longAnswer();
    },
    takeOpens: () => calculator.takeOpens(),
    snapshot: unable,
    restore: unable,
  };
}
