/** From an index in a scalar's value to the place of that character in the file, through quotes, escapes and indentation. */
import type { Scalar } from "yaml";

const ESCAPE_LENGTHS: ReadonlyMap<string, number> = new Map([
  ["x", 4],
  ["u", 6],
  ["U", 10],
]);

/** Offset in `text` of character `index` of the scalar; the scalar's start where line folding blurs it. */
export function offsetInside(text: string, scalar: Scalar, index: number): number {
  const [start = 0, end = start] = scalar.range ?? [];
  const raw = text.slice(start, end);
  switch (scalar.type) {
    case "QUOTE_DOUBLE":
      return raw.includes("\n") ? start : start + walked(raw, index, doubleQuoted);
    case "QUOTE_SINGLE":
      return raw.includes("\n") ? start : start + walked(raw, index, (at) => (raw.startsWith("''", at) ? 2 : 1));
    case "BLOCK_LITERAL":
    case "BLOCK_FOLDED":
      return start + blockOffset(raw, index);
    default:
      return raw.includes("\n") ? start : start + index;
  }
}

/** Skips the opening quote and `index` characters, each as long in the source as `lengthAt` says. */
function walked(raw: string, index: number, lengthAt: (at: number, raw: string) => number): number {
  let at = 1;
  for (let i = 0; i < index && at < raw.length - 1; i++) at += lengthAt(at, raw);
  return at;
}

function doubleQuoted(at: number, raw: string): number {
  return raw[at] === "\\" ? (ESCAPE_LENGTHS.get(raw[at + 1] as string) ?? 2) : 1;
}

/** Blocks keep their line breaks (folded ones as blanks) and lose their indentation; a line break is one character however it is written. */
function blockOffset(raw: string, index: number): number {
  const indent = /\n( *)[^ \r\n]/.exec(raw)?.[1]?.length ?? 0;
  let at = lineStart(raw, raw.indexOf("\n") + 1, indent);
  for (let i = 0; i < index && at < raw.length; i++) {
    if (raw.startsWith("\r\n", at)) at++;
    at = raw[at] === "\n" ? lineStart(raw, at + 1, indent) : at + 1;
  }
  return at;
}

/** Blank lines may have less indentation, or none. */
function lineStart(raw: string, at: number, indent: number): number {
  let start = at;
  while (start < at + indent && raw[start] === " ") start++;
  return start;
}
