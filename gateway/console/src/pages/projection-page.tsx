/** One view: its rows as they change, or as they were. */
import { memo, type ReactElement, useEffect, useState } from "react";
import { getJson, type Json, type ProjectionPage as Page, type RequestFailure, type Row } from "../api.ts";
import { count, number } from "../format.ts";
import { openPageStream } from "../live/page-stream.ts";
import { JsonView } from "../parts/json-view.tsx";
import { Empty, Failure } from "../parts/notice.tsx";
import { setQuery } from "../router.ts";

const ROWS = 100;

interface Table {
  readonly asOf: number;
  readonly rows: readonly Row[];
  /** Not null where the table goes on behind what was looked at. */
  readonly next: string | null;
  readonly isLive: boolean;
}

export function ProjectionPage({
  name,
  query,
}: {
  readonly name: string;
  readonly query: URLSearchParams;
}): ReactElement {
  const search = parameters(query);
  const asOf = query.get("asOf");
  const [table, failure] = useTable(name, search, asOf);
  const address = `/api/v1/projections/${encodeURIComponent(name)}?${search}${asOf === null ? "" : `&asOf=${encodeURIComponent(asOf)}`}`;
  // A link may name any moment; in a shell it must stay within its quotes.
  const quoted = `'${location.origin}${address.replaceAll("'", "%27")}'`;
  const [isCopied, setIsCopied] = useState(false);
  const copy = (): void => {
    void navigator.clipboard.writeText(`curl ${quoted}`).then(() => setIsCopied(true));
  };
  return (
    <main id="main" className="page page-fill">
      <div className="list-head">
        <span className={table?.isLive ? "pill clock num" : "pill num"} role="status">
          {table?.isLive && <i className="dot" />}
          {table ? `as of #${count(table.asOf)}` : "…"}
        </span>
        <span className="grow" />
        <button type="button" className="button" onClick={copy}>
          {isCopied ? "Copied" : "Copy as curl"}
        </button>
      </div>
      <QueryForm query={query} />
      {failure && <Failure failure={failure} />}
      {table?.rows.length === 0 && (
        <Empty title="No rows">
          <p>Nothing passes this filter at this position. New rows appear here by themselves.</p>
        </Empty>
      )}
      {table && table.rows.length > 0 && <RowTable rows={table.rows} isLive={table.isLive} />}
      {table && table.next !== null && <p className="side-note">{moreText(table.rows.length)}</p>}
    </main>
  );
}

function moreText(rows: number): string {
  if (rows >= ROWS) return `The first ${ROWS} rows. Filter to see others.`;
  return "Only the first part of this table was looked at: there may be more rows. Filter by the first fields of its key.";
}

function parameters(query: URLSearchParams): string {
  const where = [...query].filter(([key]) => key.startsWith("where."));
  const order = query.get("order");
  return new URLSearchParams([
    ...where,
    ...(order === null ? [] : [["order", order]]),
    ["limit", String(ROWS)],
  ]).toString();
}

/** Live rows come as one page and then as changes to it; rows of the past are asked for once. */
function useTable(name: string, search: string, asOf: string | null): [Table | undefined, RequestFailure | undefined] {
  const [table, setTable] = useState<Table>();
  const [failure, setFailure] = useState<RequestFailure>();
  useEffect(() => {
    const base = `/api/v1/projections/${encodeURIComponent(name)}`;
    const controller = new AbortController();
    const fail = (thrown: unknown): void => {
      if (!controller.signal.aborted) setFailure(thrown as RequestFailure);
    };
    setFailure(undefined);
    if (asOf !== null) {
      const past = `${base}?${search}&asOf=${encodeURIComponent(asOf)}`;
      getJson<Page>(past, controller.signal).then((page) => setTable({ ...page, isLive: false }), fail);
      return () => controller.abort();
    }
    const close = openPageStream(`${base}/live?${search}`, {
      on: {
        page: (data) => {
          setFailure(undefined);
          setTable({ ...(JSON.parse(data) as Page), isLive: true });
        },
        patch: (data) => setTable((before) => before && patched(before, JSON.parse(data) as Patch)),
      },
      lost: () => setTable((before) => before && { ...before, isLive: false }),
      // Why is what the same question is answered without a stream.
      refused: () => void getJson<Page>(`${base}?${search}`, controller.signal).then(undefined, fail),
    });
    return () => {
      controller.abort();
      close();
    };
  }, [name, search, asOf]);
  return [table, failure];
}

interface Patch {
  readonly asOf: number;
  readonly length: number;
  readonly rows: readonly (readonly [number, Row])[];
  readonly next: string | null;
}

function patched({ rows }: Table, patch: Patch): Table {
  const now = rows.slice(0, patch.length);
  for (const [index, row] of patch.rows) now[index] = row;
  return { asOf: patch.asOf, rows: now, next: patch.next, isLive: true };
}

function QueryForm({ query }: { readonly query: URLSearchParams }): ReactElement {
  const where = [...query].filter(([key]) => key.startsWith("where."));
  const add = (input: HTMLInputElement): void => {
    const [, field, value = ""] = /^\s*([^=]*[^=\s])\s*=(.*)$/.exec(input.value) ?? [];
    if (field === undefined) return;
    setQuery({ [`where.${field}`]: value.trim() });
    input.value = "";
  };
  return (
    <form className="filters" aria-label="Query" onSubmit={(event) => event.preventDefault()}>
      <label className="filter">
        Filter
        <input
          placeholder="field = value"
          spellCheck={false}
          autoComplete="off"
          // A form of two fields without a button is not submitted by Enter.
          onKeyDown={(event) => event.key === "Enter" && add(event.currentTarget)}
        />
      </label>
      {where.map(([key, value]) => (
        <button key={key} type="button" className="chip" onClick={() => setQuery({ [key]: undefined })}>
          {key.slice("where.".length)} = {value} <span aria-hidden="true">×</span>
          <span className="sr-only">remove</span>
        </button>
      ))}
      <label className="filter">
        As of
        <input
          key={query.get("asOf") ?? ""}
          defaultValue={query.get("asOf") ?? ""}
          placeholder="now"
          title="A position, or a time such as 2001-02-11T14:00Z"
          spellCheck={false}
          onBlur={(event) => setQuery({ asOf: momentOf(event.target.value) })}
          onKeyDown={(event) => event.key === "Enter" && setQuery({ asOf: momentOf(event.currentTarget.value) })}
        />
      </label>
      <label className="filter">
        Order
        <select
          value={query.get("order") ?? "asc"}
          onChange={(event) => setQuery({ order: event.target.value === "asc" ? undefined : "desc" })}
        >
          <option value="asc">ascending</option>
          <option value="desc">descending</option>
        </select>
      </label>
    </form>
  );
}

/** People type `#1 284` and `2001-02-11 14:00`. */
const momentOf = (text: string): string => {
  const tidy = text.trim();
  return /^\d{4}-/.test(tidy) ? tidy.replace(" ", "T").replace(/Z?$/, "Z") : tidy.replace(/[#\s,]/g, "");
};

function RowTable({ rows, isLive }: { readonly rows: readonly Row[]; readonly isLive: boolean }): ReactElement {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const numeric = new Set(columns.filter((column) => rows.some((row) => typeof row[column] === "number")));
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard.
    <section className="scroll" aria-label="Rows" tabIndex={0}>
      <table className="table table-dense">
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column} scope="col" className={numeric.has(column) ? "right" : undefined}>
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: changes name rows by their place in the page.
            <RowCells key={index} row={row} columns={JSON.stringify(columns)} isLive={isLive} />
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** Renders again only when its own row changed; the key of a cell makes a changed value appear anew, and so glow. */
const RowCells = memo(function RowCells({
  row,
  columns,
  isLive,
}: {
  readonly row: Row;
  readonly columns: string;
  readonly isLive: boolean;
}): ReactElement {
  return (
    <tr>
      {(JSON.parse(columns) as readonly string[]).map((column) => {
        const value = row[column];
        return (
          <td
            key={`${column} ${JSON.stringify(value)}`}
            className={`${typeof value === "number" ? "right num" : "text"} ${isLive ? "glow" : ""}`}
          >
            <Cell value={value} />
          </td>
        );
      })}
    </tr>
  );
});

function Cell({ value }: { readonly value: Json | undefined }): ReactElement | string {
  if (value === undefined || value === null) return "–";
  if (typeof value === "number") return number(value);
  if (typeof value === "object") return <JsonView value={value} />;
  return typeof value === "string"
    ? value.replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d):00(?:\.000)?Z$/, "$1 $2")
    : String(value);
}
