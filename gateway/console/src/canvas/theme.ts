/** Colours of the canvas, taken from the style sheet, so that dark and light are decided in one place. */
export interface Theme {
  readonly bg: string;
  readonly panel: string;
  readonly node: string;
  readonly line: string;
  readonly ink: string;
  readonly mute: string;
  readonly faint: string;
  readonly water: string;
  readonly flow: string;
  readonly idle: string;
  readonly ok: string;
  readonly warn: string;
  readonly warnInk: string;
  readonly bad: string;
  readonly badInk: string;
  readonly grain: string;
  readonly violet: string;
  readonly slate: string;
  readonly shadow: string;
  readonly sans: string;
  readonly mono: string;
}

const NAMES = [
  "bg",
  "panel",
  "node",
  "line",
  "ink",
  "mute",
  "faint",
  "water",
  "flow",
  "idle",
  "ok",
  "warn",
  "warnInk",
  "bad",
  "badInk",
  "grain",
  "violet",
  "slate",
  "shadow",
  "sans",
  "mono",
] as const;

export function readTheme(): Theme {
  const style = getComputedStyle(document.documentElement);
  const property = (name: string): string =>
    style.getPropertyValue(`--${name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`).trim();
  return Object.fromEntries(NAMES.map((name) => [name, property(name)])) as unknown as Theme;
}

/** Calls `changed` when the person switches between dark and light. */
export function onThemeChange(changed: () => void): () => void {
  const query = matchMedia("(prefers-color-scheme: dark)");
  query.addEventListener("change", changed);
  return () => query.removeEventListener("change", changed);
}

/** The colour of a kind of node; kinds that are not known share one. */
export function kindColour(theme: Theme, kind: string): string {
  switch (kind) {
    case "source":
      return theme.water;
    case "filter":
    case "map":
    case "enrich":
    case "switch":
    case "merge":
      return theme.ok;
    case "window":
    case "join":
      return theme.grain;
    case "calculator":
      return theme.violet;
    default:
      return theme.slate;
  }
}
