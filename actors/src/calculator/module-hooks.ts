/**
 * Lets Node load TypeScript modules of calculators by taking their types away, nothing else (`amaro`, the stripper inside
 * newer Nodes): lines and columns stay as they are, enums and namespaces are refused. Nothing is cached on disk.
 */
import { createRequire, register } from "node:module";
import { actorError } from "../errors.ts";

/** The stripper's entry, for a worker that cannot resolve packages of its own. */
export function stripperPath(): string {
  return createRequire(import.meta.url).resolve("amaro");
}

/** JavaScript of a TypeScript module, line for line. @throws CALC-LOAD with the place of what is more than types */
export function stripTypes(source: string, file: string): string {
  const { transformSync } = createRequire(import.meta.url)("amaro") as typeof import("amaro");
  try {
    return transformSync(source, { mode: "strip-only" }).code;
  } catch (error) {
    const { message = String(error), startLine, startColumn } = error as Partial<StripError>;
    const line = startLine === undefined ? {} : { line: startLine };
    const place = { file, ...line, ...(startColumn === undefined ? {} : { column: startColumn + 1 }) };
    throw actorError("CALC-LOAD", `${file} does not load: ${message}`, { place, cause: error });
  }
}

/** What the stripper throws. */
interface StripError {
  readonly message: string;
  readonly startLine: number;
  readonly startColumn: number;
}

/**
 * Source of the hooks module, run on Node's loader thread. Modules of packages are left alone: they ship JavaScript.
 * `file:` modules only, and only those that end in `.ts` or `.mts`.
 */
const HOOKS = `
import { createRequire } from "node:module";
let strip;
export function initialize(stripper) {
  strip = createRequire(stripper)(stripper).transformSync;
}
export async function load(url, context, next) {
  if (!/^file:.*\\.m?ts(?:[?#]|$)/.test(url) || url.includes("/node_modules/")) return next(url, context);
  const { source } = await next(url, { ...context, format: "module" });
  try {
    return { format: "module", shortCircuit: true, source: strip(String(source), { mode: "strip-only" }).code };
  } catch (error) {
    const where = url + ":" + (error.startLine ?? 1) + ":" + ((error.startColumn ?? 0) + 1);
    throw new SyntaxError((error.message ?? String(error)) + " at " + where);
  }
}
`;

export const hooksUrl = `data:text/javascript,${encodeURIComponent(HOOKS)}`;

let isRegistered = false;

/** Makes `import()` of TypeScript files work in this thread. */
export function allowTypeScript(): void {
  if (isRegistered) return;
  isRegistered = true;
  register(hooksUrl, { data: stripperPath() });
}
