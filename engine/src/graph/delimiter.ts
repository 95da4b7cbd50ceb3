/** What separates the cells of CSV, as graph files say it. */

/** One character that numbers, words, quoted cells and line ends have no part in, so that no cell is cut by it unseen. */
export const DELIMITER_PATTERN = String.raw`^[^"\r\n\0A-Za-z0-9.+\-\ud800-\udfff]$`;

const DELIMITER = new RegExp(DELIMITER_PATTERN, "u");
/** How people write characters that they cannot show; `\t` outside of double quotes is two characters in YAML. */
const SPELLED: ReadonlyMap<string, string> = new Map([
  ["\\t", "\t"],
  ["tab", "\t"],
  ["comma", ","],
  ["semicolon", ";"],
  ["pipe", "|"],
]);

/** What is wrong with a delimiter; `undefined`: nothing. `shown` writes one as it has to be written there. */
export function delimiterFault(
  text: string,
  shown: (delimiter: string) => string = JSON.stringify,
): string | undefined {
  if (DELIMITER.test(text)) return undefined;
  const rule = 'expected one character, and no letter, digit, quote, line end, ".", "+" or "-"';
  const guess = SPELLED.get(text.toLowerCase()) ?? onlyCharacter(text);
  const hint = guess === undefined ? "" : `; did you mean \`${shown(guess)}\`?`;
  return `${JSON.stringify(text)} is no delimiter: ${rule}${hint}`;
}

/** Of `||` and `"; "`. */
function onlyCharacter(text: string): string | undefined {
  const [only = "", ...others] = new Set(text.trim());
  return others.length === 0 && DELIMITER.test(only) ? only : undefined;
}
