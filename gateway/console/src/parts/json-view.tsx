import type { ReactElement } from "react";
import type { Json } from "../api.ts";

/** JSON with colours, as inert text. `lines` decides whether it is laid out over several lines. */
export function JsonView({ value, lines = false }: { readonly value: Json; readonly lines?: boolean }): ReactElement {
  return <code className={lines ? "json json-lines" : "json"}>{parts(value, lines ? 0 : undefined)}</code>;
}

function parts(value: Json, depth: number | undefined): ReactElement {
  if (value === null) return <span className="json-word">null</span>;
  if (typeof value === "string") return <span className="json-text">{JSON.stringify(value)}</span>;
  if (typeof value === "number") return <span className="json-number">{String(value)}</span>;
  if (typeof value === "boolean") return <span className="json-word">{String(value)}</span>;
  if (Array.isArray(value)) {
    return wrap(
      "[",
      "]",
      depth,
      (value as readonly Json[]).map((item) => ({ key: "", item })),
    );
  }
  return wrap(
    "{",
    "}",
    depth,
    Object.entries(value as Readonly<Record<string, Json>>).map(([key, item]) => ({ key, item })),
  );
}

function wrap(
  start: string,
  end: string,
  depth: number | undefined,
  items: readonly { readonly key: string; readonly item: Json }[],
): ReactElement {
  if (items.length === 0) return <span>{start + end}</span>;
  const inner = depth === undefined ? undefined : depth + 1;
  const newline = (level: number | undefined): string => (level === undefined ? " " : `\n${"  ".repeat(level)}`);
  return (
    <span>
      {start}
      {items.map(({ key, item }, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the place in the value is what identifies an item.
        <span key={index}>
          {newline(inner)}
          {start === "{" && <span className="json-key">{/^[A-Za-z_]\w*$/.test(key) ? key : JSON.stringify(key)}</span>}
          {start === "{" && ": "}
          {parts(item, inner)}
          {index < items.length - 1 && ","}
        </span>
      ))}
      {newline(depth)}
      {end}
    </span>
  );
}
