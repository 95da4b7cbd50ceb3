// Lets scripts import TypeScript modules of this repository on Nodes that cannot by themselves: types are taken away, nothing else.
import { createRequire, register } from "node:module";

/** From here on `import()` of `.ts` files works in this process. */
export function allowTypeScript() {
  const stripper = createRequire(import.meta.resolve("@millrace/actors")).resolve("amaro");
  register(import.meta.url, { data: stripper });
}

let transformSync;

/** Run by Node on the thread that loads modules. */
export function initialize(stripper) {
  transformSync = createRequire(stripper)(stripper).transformSync;
}

/** Run by Node on the thread that loads modules. */
export async function load(url, context, next) {
  if (!/^file:.*\.ts$/.test(url) || url.includes("/node_modules/")) return next(url, context);
  const { source } = await next(url, { ...context, format: "module" });
  const { code } = transformSync(String(source), { mode: "strip-only" });
  return { format: "module", shortCircuit: true, source: code };
}
