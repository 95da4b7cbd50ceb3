/** Text on stdout: JSON for programs, aligned columns for people. */
import pc from "picocolors";
import { columnsOf, cutTo, inert } from "./terminal-text.ts";

export function writeJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

export function writeLine(text = ""): void {
  process.stdout.write(`${text}\n`);
}

/** `1,234,567` for a whole number. Not by `toLocaleString`, whose first call loads for 15 ms what other languages would need. */
export function grouped(n: number): string {
  return String(n).replaceAll(/\B(?=(?:\d{3})+$)/g, ",");
}

/** `1 row`, `2 rows`. */
export function counted(n: number, one: string): string {
  return `${grouped(n)} ${one}${n === 1 ? "" : "s"}`;
}

export type Cell = string | number | boolean | null | undefined;

/** Numbers to the right, texts to the left, a dim head. */
export function writeTable(head: readonly string[], rows: readonly (readonly Cell[])[]): void {
  const titles = head.map(cellText);
  const texts = rows.map((row) => row.map(cellText));
  const widths = titles.map((title, i) => Math.max(columnsOf(title), ...texts.map((row) => columnsOf(row[i] ?? ""))));
  const isNumeric = head.map((_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === "number"));
  const padded = (cell: string, i: number): string => {
    const room = " ".repeat((widths[i] as number) - columnsOf(cell));
    return isNumeric[i] ? room + cell : cell + room;
  };
  const line = (cells: readonly string[]): string => cells.map(padded).join("  ").trimEnd();
  writeLine(pc.dim(line(titles)));
  for (const row of texts) writeLine(line(row));
}

const CELL_COLUMNS_MAX = 60;

function cellText(cell: Cell): string {
  if (cell === null || cell === undefined) return "–";
  if (typeof cell === "number") return Number.isSafeInteger(cell) ? grouped(cell) : String(cell);
  return cutTo(CELL_COLUMNS_MAX, inert(String(cell).replaceAll(/\s+/g, " ")));
}

/** UTC to the millisecond. */
export function timeText(ms: number): string {
  return new Date(ms).toISOString();
}
