/** Path of a frame after an edge, by its path before. A `Map` is one, too. */
export interface NextPath {
  /** `undefined`: the path does not lead along the edge. */
  get(before: number): number | undefined;
  keys(): Iterable<number>;
  values(): Iterable<number>;
}

/** Of an edge that one path leads along, as most do: a table for it would take more room than the rest of the edge. */
export class OnePath implements NextPath {
  readonly #before: number;
  readonly #after: number;

  constructor(before: number, after: number) {
    this.#before = before;
    this.#after = after;
  }

  get(before: number): number | undefined {
    return before === this.#before ? this.#after : undefined;
  }

  keys(): Iterable<number> {
    return [this.#before];
  }

  values(): Iterable<number> {
    return [this.#after];
  }
}

const NO_PATH: NextPath = new Map();

/** As small as `paths` allows. */
export function nextPathOf(paths: readonly (readonly [before: number, after: number])[]): NextPath {
  const [first, ...more] = paths;
  if (first === undefined) return NO_PATH;
  return more.length === 0 ? new OnePath(...first) : new Map(paths);
}
