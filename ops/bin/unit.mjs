// npm run unit -- [files and options]: `vitest run`; with `related` before them, the tests that import one of the files, at any
// distance. Vitest's `--update` takes the word behind it for the kind of update, so that
// `--update FILE` would lose the file and run, and rewrite, everything; here it stands for itself.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { root } from "./setup.mjs";

const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
const options = process.argv.slice(2).map((word) => (word === "--update" || word === "-u" ? "--update=all" : word));
const command = options[0] === "related" ? [...options, "--run"] : ["run", ...options];
process.argv.splice(1, process.argv.length, vitest, ...command);
await import(pathToFileURL(vitest).href);
