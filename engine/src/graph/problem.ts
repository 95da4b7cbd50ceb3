/** What is wrong with a graph file, and where. A file's problems are reported all at once, in the order of its lines. */
import type { GraphErrorCode } from "./graph-errors.ts";

/** 1-based. */
export interface TextPosition {
  readonly line: number;
  readonly column: number;
}

export interface Problem {
  readonly code: GraphErrorCode;
  readonly message: string;
  readonly file?: string;
  /** 1-based; absent when the definition did not come from a text. */
  readonly line?: number;
  readonly column?: number;
  /** JSON pointer to the value in the definition; `""` for the whole. */
  readonly path: string;
}

/** Where in the definition: keys and indices from the top. */
export type Path = readonly (string | number)[];

/** Which text a path stands for: the key, the value, or a character inside a text value. */
export type PathPart = "key" | "value" | { readonly index: number };

export interface Locator {
  readonly file: string | undefined;
  /** The nearest place that exists in the text; `undefined` without a text. */
  locate(path: Path, part: PathPart): TextPosition | undefined;
}

export const NO_LOCATOR: Locator = { file: undefined, locate: () => undefined };

export function pointer(path: Path): string {
  return path.map((key) => `/${String(key).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

/** Gathers problems; the same message at the same place counts once. */
export class ProblemList {
  readonly #locator: Locator;
  readonly #found = new Map<string, Problem>();

  constructor(locator: Locator) {
    this.#locator = locator;
  }

  get size(): number {
    return this.#found.size;
  }

  add(code: GraphErrorCode, path: Path, message: string, part: PathPart = "value"): void {
    this.put(code, this.#locator.locate(path, part), message, path);
  }

  put(code: GraphErrorCode, at: TextPosition | undefined, message: string, path: Path = []): void {
    const { file } = this.#locator;
    const problem = { code, message, ...(file === undefined ? {} : { file }), ...(at ?? {}), path: pointer(path) };
    const key = `${problem.path}\n${at?.line}:${at?.column}\n${message}`;
    if (!this.#found.has(key)) this.#found.set(key, problem);
  }

  /** `" (first at 3:5)"`, or the path where there is no text. */
  otherPlace(path: Path, part: PathPart = "value"): string {
    const at = this.#locator.locate(path, part);
    return at === undefined ? pointer(path) : `${at.line}:${at.column}`;
  }

  sorted(): readonly Problem[] {
    return [...this.#found.values()].sort(
      (a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0) || compareText(a.code, b.code),
    );
  }
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** `file:line:col CODE message`, as editors and people read it. */
export function formatProblem({ file, line, column, code, message, path }: Problem): string {
  const place =
    line === undefined ? `${file ?? "graph"}${path === "" ? "" : ` ${path}`}` : `${file ?? "graph"}:${line}:${column}`;
  return `${place} ${code} ${message}`;
}
