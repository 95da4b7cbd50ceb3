/** What the graph file says about one node, found in its text; enough to show, not to run. */

/** The lines of a node's entry, without their common indentation; empty when it is not found. */
export function nodeSource(source: string, node: string): string {
  const lines = source.split("\n");
  const start = lines.findIndex((line) => keyOf(line) === node && /^\s+/.test(line));
  if (start < 0) return "";
  const indent = indentOf(lines[start] as string);
  let end = start + 1;
  while (end < lines.length && ((lines[end] as string).trim() === "" || indentOf(lines[end] as string) > indent)) end++;
  return lines
    .slice(start, end)
    .map((line) => line.slice(indent))
    .join("\n")
    .trimEnd();
}

const indentOf = (line: string): number => line.length - line.trimStart().length;

const keyOf = (line: string): string | undefined =>
  /^\s*(?:"([^"]+)"|'([^']+)'|([\w.-]+))\s*:/.exec(line)?.slice(1).find(Boolean);

/** Keys that say most about what a node does, the best first. */
const TELLING = ["where", "tumbling", "size", "cron", "every", "use", "table", "set", "select", "on", "to", "from"];

/** `window · 1h`: the kind of a node and its most telling field. */
export function sublineOf(source: string, node: string, kind: string): string {
  const text = nodeSource(source, node);
  for (const key of TELLING) {
    const value = fieldOf(text, key);
    if (value !== undefined) return key === "where" ? value.replaceAll("event.", "") : told(kind, value);
  }
  return kind;
}

function fieldOf(text: string, key: string): string | undefined {
  const found = new RegExp(`(?:^|[{,\\s])"?${key}"?\\s*:\\s*(?:"([^"]*)"|'([^']*)'|([^,}\\n{\\[]+))`).exec(text);
  return found
    ?.slice(1)
    .find((part) => part !== undefined && part.trim() !== "")
    ?.trim();
}

/** An address tells more than the kind: `projection · departures`, `kafka · late-flights`. */
function told(kind: string, value: string): string {
  const [, scheme, rest] = /^([a-z]+):(?:\/\/)?(.*)$/.exec(value) ?? [];
  if (scheme === undefined || rest === undefined) return `${kind} · ${tidy(value)}`;
  if (rest === "") return `${kind} · ${scheme}`;
  return `${kind === "sink" ? scheme : kind} · ${tidy(rest)}`;
}

/** `file:./data/flights-3m.parquet` is `flights-3m.parquet`, `projection:departures` stays. */
function tidy(value: string): string {
  const path = /^(?:file:)?(?:.*\/)?([^/]+)$/.exec(value)?.[1];
  return (value.includes("/") && path ? path : value).replace(/^event\./, "");
}
