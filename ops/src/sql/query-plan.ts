/** What a query reads, from DuckDB's own plan: the optimizer knows better than the text which columns it needs. */

export type ColumnsScanned = ReadonlySet<string> | "all" | "none";

interface Operator {
  readonly name: string;
  readonly children: readonly Operator[];
  readonly extra_info: Readonly<Record<string, string | readonly string[]>>;
}

/** Columns of `table` in scans and the conditions pushed down to them; `"all"` where the plan does not say, `"none"` without a scan. */
export function columnsScanned(plan: unknown, table: string): ColumnsScanned {
  const found = new Set<string>();
  let scans = 0;
  // The shape is DuckDB's; what does not look like a scan with its columns is taken for one that reads everything.
  for (const { name, extra_info } of operators(plan as readonly Operator[])) {
    const scanned = extra_info.Table;
    if (scanned === undefined || !String(scanned).endsWith(`.${table}`)) continue;
    scans += 1;
    const { Projections, Filters = [] } = extra_info;
    if (!name.trim().endsWith("SCAN") || Projections === undefined) return "all";
    for (const column of [Projections].flat()) if (column !== "") found.add(column);
    for (const condition of [Filters].flat()) for (const [word] of String(condition).matchAll(/\w+/g)) found.add(word);
  }
  return scans === 0 ? "none" : found;
}

function* operators(plan: readonly Operator[]): Generator<Operator> {
  for (const operator of plan) {
    yield operator;
    yield* operators(operator.children);
  }
}
