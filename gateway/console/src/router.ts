/** Addresses of the console: the path names the page, the query holds its filters, so that a view can be sent to someone. */
import { useSyncExternalStore } from "react";

const listeners = new Set<() => void>();

addEventListener("popstate", () => {
  for (const listener of listeners) listener();
});

export function navigate(to: string, how: "push" | "replace" = "push"): void {
  if (to === location.pathname + location.search) return;
  history[how === "push" ? "pushState" : "replaceState"](null, "", to);
  for (const listener of listeners) listener();
}

export interface Route {
  readonly path: readonly string[];
  readonly query: URLSearchParams;
}

let known = { href: "", route: { path: [] as readonly string[], query: new URLSearchParams() } as Route };

function current(): Route {
  if (known.href !== location.href) {
    const path = location.pathname
      .split("/")
      .filter((part) => part !== "")
      .map(decode);
    known = { href: location.href, route: { path, query: new URLSearchParams(location.search) } };
  }
  return known.route;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export function useRoute(): Route {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, current);
}

/** Changes some keys of the query; `undefined` and the empty text remove one. */
export function setQuery(
  changes: Readonly<Record<string, string | undefined>>,
  how: "push" | "replace" = "replace",
): void {
  const query = new URLSearchParams(location.search);
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined || value === "") query.delete(key);
    else query.set(key, value);
  }
  const text = query.toString();
  navigate(`${location.pathname}${text === "" ? "" : `?${text}`}`, how);
}

export const graphPage = (graph: string): string => `/graphs/${encodeURIComponent(graph)}`;
