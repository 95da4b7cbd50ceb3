/**
 * Bounds of a graph file, checked before anything expensive happens: a hostile or mistaken file costs less than a second and
 * little memory, whatever it holds.
 */
import type { TextPosition } from "./problem.ts";
import { yamlLibrary } from "./yaml-library.ts";

export const BYTES_MAX = 1024 * 1024;
/** Lexical tokens; a graph of 10 000 nodes has some 250 000. */
const TOKENS_MAX = 500_000;
/** Of values within values. A graph needs 6; `config` and tests may need more. */
export const DEPTH_MAX = 64;
/** Values after aliases are expanded. */
export const VALUES_MAX = 120_000;
export const NODES_MAX = 20_000;

export interface Excess {
  readonly message: string;
  readonly offset: number;
}

/** The lexer's marker before the text of a scalar; markers have no width of their own. */
const SCALAR = "\u001f";
const MARKERS = new Set(["\u0002", "\u0018", SCALAR]);

/** Reads tokens only, which takes no memory, and stops at the first excess. */
export function excessOf(text: string): Excess | undefined {
  const depth = new Nesting();
  let offset = 0;
  let tokens = 0;
  let scalar = false;
  for (const token of new (yamlLibrary().Lexer)().lex(text)) {
    if (++tokens > TOKENS_MAX) return { message: `the file has more than ${TOKENS_MAX} tokens`, offset };
    if (!scalar && depth.after(token) > DEPTH_MAX)
      return { message: `values are nested more than ${DEPTH_MAX} deep`, offset };
    scalar = token === SCALAR;
    if (!MARKERS.has(token)) offset += token.length;
  }
  return undefined;
}

/** Depth of brackets, and of list marks within one line; nesting by indentation shows when the tree is walked. */
class Nesting {
  #brackets = 0;
  #marks = 0;

  after(token: string): number {
    if (token === "[" || token === "{") this.#brackets++;
    else if (token === "]" || token === "}") this.#brackets--;
    else if (token === "-" || token === "?") this.#marks++;
    else if (token === "\n" || token === "\r\n") this.#marks = 0;
    return this.#brackets + this.#marks;
  }
}

/** Where the first byte is that is not UTF-8; `undefined` when all are. */
export function firstInvalidByte(bytes: Uint8Array): TextPosition | undefined {
  const starts = lineStarts(bytes);
  for (const [index, start] of starts.entries()) {
    const line = bytes.subarray(start, starts[index + 1] ?? bytes.length);
    if (decodes(line)) continue;
    return { line: index + 1, column: new TextDecoder().decode(line).indexOf("\uFFFD") + 1 };
  }
  return undefined;
}

function lineStarts(bytes: Uint8Array): number[] {
  const starts = [0];
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) starts.push(at + 1);
  return starts;
}

function decodes(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    // The only reason to throw is a byte that is not UTF-8, which is what is asked.
    return false;
  }
}
