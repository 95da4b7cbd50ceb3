/** Groups of open windows by the addon (native/crates/window-groups). */
import type { GroupArrays, GroupFrame, GroupKernel, GroupKernels } from "@millrace/engine";
import { CELL_FOLDS } from "@millrace/engine/worker";
import { loadAddon, type WindowGroups } from "../addon.ts";

const MOST = 0xffff_ffff;

/** `undefined` without the addon. */
export function nativeGroups(): GroupKernels | undefined {
  const addon = loadAddon();
  if (addon === undefined) return undefined;
  return {
    name: "native",
    windows(sizeMs, cells): GroupKernel {
      const numbers = cells.flatMap(({ fold, input }) => [CELL_FOLDS.indexOf(fold), Math.max(0, input)]);
      return new NativeGroups(new addon.WindowGroups(sizeMs, Uint32Array.from(numbers)));
    },
  };
}

class NativeGroups implements GroupKernel {
  readonly #groups: WindowGroups;

  constructor(groups: WindowGroups) {
    this.#groups = groups;
  }

  accumulate({ at, times, keys, keyCount, inputs }: GroupFrame): void {
    const values = inputs.map((input) => input.values);
    const nulls = inputs.map((input) => input.nulls);
    this.#groups.accumulate(at, times, keys, keyCount, values, nulls);
  }

  end(limit: number): number {
    return this.#groups.end(limit);
  }

  firstDue(): number {
    return this.#groups.firstDue();
  }

  /** Numbers of groups are below 2^32. */
  take(most: number): number {
    return this.#groups.take(Math.min(most, MOST));
  }

  changed(): number {
    return this.#groups.changed();
  }

  all(): number {
    return this.#groups.all();
  }

  nextStart(from: number): number {
    return this.#groups.nextStart(from);
  }

  combine(from: number, to: number): number {
    return this.#groups.combine(from, to);
  }

  read({ starts, keys, cells }: GroupArrays): void {
    this.#groups.read(starts, keys, cells);
  }

  seal(): number {
    return this.#groups.seal();
  }

  discard(): void {
    this.#groups.discard();
  }

  write({ starts, keys, cells }: GroupArrays, keyCount: number): void {
    this.#groups.write(starts, keys, keyCount, cells);
  }

  renumber(numbers: Uint32Array): void {
    this.#groups.renumber(numbers);
  }
}
