/** Cells of a CSV record (RFC 4180), with the faults that real files have. */

export interface CsvCells {
  readonly texts: readonly string[];
  /** 1 for a quoted cell, which is text whatever it looks like; `null` when none is. */
  readonly quoted: Uint8Array | null;
}

/** `open`: a quoted cell goes on behind the end of the text. */
export type CsvRecord = CsvCells | "open" | { readonly fault: string };

/** What separates the cells in a file of this name, unless something else is said. */
export function delimiterOf(path: string): string {
  return path.toLowerCase().endsWith(".tsv") ? "\t" : ",";
}

/** Splits a record. A quote inside a cell that does not begin with one is an ordinary character. */
export function csvRecord(text: string, delimiter: string): CsvRecord {
  if (text.indexOf('"') < 0) return { texts: text.split(delimiter), quoted: null };
  const texts: string[] = [];
  const quotedCells: number[] = [];
  for (let at = 0; ; at += delimiter.length) {
    const isQuoted = text[at] === '"';
    const end = isQuoted ? quotedEnd(text, at + 1) : unquotedEnd(text, at, delimiter);
    if (end < 0) return "open";
    if (isQuoted) quotedCells.push(texts.length);
    texts.push(isQuoted ? text.slice(at + 1, end).replaceAll('""', '"') : text.slice(at, end));
    at = isQuoted ? end + 1 : end;
    if (at >= text.length) break;
    if (!text.startsWith(delimiter, at)) return { fault: `text behind the closing quote of cell ${texts.length}` };
  }
  const quoted = new Uint8Array(texts.length);
  for (const cell of quotedCells) quoted[cell] = 1;
  return { texts, quoted };
}

function unquotedEnd(text: string, from: number, delimiter: string): number {
  const end = text.indexOf(delimiter, from);
  return end < 0 ? text.length : end;
}

/** Index of the closing quote of a cell whose content begins at `from`; -1 when it is not there. */
function quotedEnd(text: string, from: number): number {
  for (let at = text.indexOf('"', from); at >= 0; at = text.indexOf('"', at + 2)) {
    if (text[at + 1] !== '"') return at;
  }
  return -1;
}
