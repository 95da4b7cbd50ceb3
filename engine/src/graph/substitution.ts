/**
 * `${VAR}` and `${VAR:default}` in values are replaced from an environment that the caller gives. `${env:NAME}` and
 * `${file:PATH}` are secrets: they stay references, to be resolved by whoever opens the connection, and never enter the model,
 * the log or a message. `$${` stands for `${`.
 */
import type { Json } from "../frame/json.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

const REFERENCE = /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::([^}]*))?\}/g;
const SECRET_SCHEMES: ReadonlySet<string> = new Set(["env", "file"]);

export interface Substituted {
  readonly value: Json;
  /** Names without a value and without a default. */
  readonly missing: readonly string[];
}

/** A text that is one reference and nothing else takes the type of what is put in: `${PORT:8080}` is a number. */
export function substitute(text: string, env: Environment): Substituted {
  const missing: string[] = [];
  let whole = false;
  const value = text.replace(REFERENCE, (all, name: string | undefined, otherwise: string | undefined) => {
    if (name === undefined) return "${";
    if (otherwise !== undefined && SECRET_SCHEMES.has(name)) return all;
    const found = env[name] ?? otherwise;
    if (found === undefined) missing.push(name);
    whole = all.length === text.length;
    return found ?? "";
  });
  return { value: whole ? typed(value) : value, missing };
}

function typed(text: string): Json {
  if (text === "true" || text === "false") return text === "true";
  return /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?$/.test(text) ? Number(text) : text;
}

/** Secrets that a text refers to, as written: `env:NAME` or `file:PATH`. */
export function secretsOf(text: string): readonly string[] {
  const secrets: string[] = [];
  for (const [all, name, rest] of text.matchAll(REFERENCE)) {
    if (all !== "$${" && name !== undefined && rest !== undefined && SECRET_SCHEMES.has(name))
      secrets.push(`${name}:${rest}`);
  }
  return secrets;
}
