/** Texts of data as a terminal can show them: nothing in them steers it, and their width is that of what is seen. */
import { eastAsianWidth } from "get-east-asian-width";

/** Control characters but line ends and tabs, and those that turn the direction of what follows. */
const STEERING = /[^\P{Cc}\n\t]|[\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

/** The text with what would steer the terminal written as escapes of JSON, `\u001b`. */
export function inert(text: string): string {
  return text.replaceAll(STEERING, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

const ASCII = /^[ -~]*$/;
/** Shown as pictures: those that are by themselves, and those that are said to be. */
const PICTURE = /^\p{Emoji_Presentation}|\ufe0f/u;

/** Made for the first text that is not plain ASCII: making it takes longer than most commands' output. */
let segmenter: Intl.Segmenter | undefined;

function* characters(text: string): Generator<readonly [character: string, columns: number]> {
  segmenter ??= new Intl.Segmenter("en", { granularity: "grapheme" });
  for (const { segment } of segmenter.segment(text))
    yield [segment, PICTURE.test(segment) ? 2 : eastAsianWidth(segment.codePointAt(0) as number)];
}

/** Columns that a terminal takes for a text of one line. */
export function columnsOf(text: string): number {
  if (ASCII.test(text)) return text.length;
  let columns = 0;
  for (const [, own] of characters(text)) columns += own;
  return columns;
}

/** The text, or as much of its beginning as fits with a `…`. */
export function cutTo(columnsMax: number, text: string): string {
  if (text.length <= columnsMax / 2 || columnsOf(text) <= columnsMax) return text;
  let cut = "";
  let columns = 1;
  for (const [character, own] of characters(text)) {
    columns += own;
    if (columns > columnsMax) break;
    cut += character;
  }
  return `${cut}…`;
}
