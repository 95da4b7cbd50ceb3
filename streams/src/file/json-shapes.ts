/** Learns of the lines of an NDJSON file whether their objects have one shape, so that a kernel can read them as columns. */
import { isJsonObject, type Json, type TextKernels } from "@millrace/engine";
import { KernelColumns } from "./kernel-columns.ts";

/** Longer records are read without the kernel. */
const RECORD_BYTES_MAX = 1 << 20;
/** After a batch of several shapes so many are not tried as columns; after each further one, twice as many. */
const ROW_BATCHES_MAX = 64;

export class JsonShapes {
  readonly #kernels: TextKernels;
  readonly #recordBytesMax: number;
  #columns: KernelColumns | undefined;
  #rowBatches = 0;
  #nextRowBatches = 1;

  constructor(kernels: TextKernels, lineBytesMax: number) {
    this.#kernels = kernels;
    this.#recordBytesMax = Math.min(lineBytesMax, RECORD_BYTES_MAX);
  }

  /** Whether the next batch is worth trying as columns. */
  isTried(): boolean {
    return --this.#rowBatches < 0;
  }

  /** Empty columns of the shape that was met last. */
  last(): KernelColumns | undefined {
    return this.#columns?.begin();
  }

  /** Empty columns of the message's shape; `undefined` when it can have none. */
  like(message: Json): KernelColumns | undefined {
    if (!isJsonObject(message)) return undefined;
    const names = Object.keys(message);
    if (names.length === 0 || !names.every(isPlain)) return undefined;
    this.#columns = new KernelColumns(names, this.#kernels.json(names, this.#recordBytesMax));
    return this.#columns.begin();
  }

  /** A batch that was tried had one shape, or several. */
  note(isOfOneShape: boolean): void {
    this.#rowBatches = isOfOneShape ? 0 : this.#nextRowBatches;
    this.#nextRowBatches = isOfOneShape ? 1 : Math.min(2 * this.#nextRowBatches, ROW_BATCHES_MAX);
  }
}

/** The cells of a message with exactly these fields in this order. */
export function cellsOf(message: Json, names: readonly string[]): readonly Json[] | undefined {
  if (!isJsonObject(message)) return undefined;
  const cells: Json[] = [];
  for (const name in message) {
    if (name !== names[cells.length]) return undefined;
    cells.push(message[name] as Json);
  }
  return cells.length === names.length ? cells : undefined;
}

/** Written as it is; and an object keeps it where it was written, which it does not with indices. */
function isPlain(name: string): boolean {
  return JSON.stringify(name) === `"${name}"` && !/^(?:0|[1-9]\d*)$/.test(name);
}
