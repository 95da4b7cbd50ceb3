/** Text on stdout: JSON for programs, aligned columns for people. */
import pc from "picocolors";

export function writeJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

export function writeLine(text = ""): void {
  process.stdout.write(`${text}\n`);
}

/** `1 row`, `2 rows`. */
export function counted(n: number, one: string): string {
  return `${n.toLocaleString("en-US")} ${one}${n === 1 ? "" : "s"}`;
}

export type Cell = string | number | boolean | null | undefined;

/** Numbers to the right, texts to the left, a dim head. */
export function writeTable(head: readonly string[], rows: readonly (readonly Cell[])[]): void {
  const texts = rows.map((row) => row.map(cellText));
  const widths = head.map((title, i) => Math.max(title.length, ...texts.map((row) => row[i]?.length ?? 0)));
  const isNumeric = head.map((_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === "number"));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (isNumeric[i] ? cell.padStart(widths[i] as number) : cell.padEnd(widths[i] as number)))
      .join("  ")
      .trimEnd();
  writeLine(pc.dim(line(head)));
  for (const row of texts) writeLine(line(row));
}

const CELL_CHARS_MAX = 60;

function cellText(cell: Cell): string {
  if (cell === null || cell === undefined) return "–";
  if (typeof cell === "number") return Number.isInteger(cell) ? cell.toLocaleString("en-US") : String(cell);
  const text = String(cell).replaceAll(/\s+/g, " ");
  return text.length > CELL_CHARS_MAX ? `${text.slice(0, CELL_CHARS_MAX - 1)}…` : text;
}

/** UTC to the millisecond. */
export function timeText(ms: number): string {
  return new Date(ms).toISOString();
}
