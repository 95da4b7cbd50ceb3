// npm run unit -- [files and options]: `vitest run`. Its `--update` takes the word behind it for the kind of update, so that
// `--update FILE` would lose the file and run, and rewrite, everything; here it stands for itself.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { root } from "./setup.mjs";

const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
const options = process.argv.slice(2).map((word) => (word === "--update" || word === "-u" ? "--update=all" : word));
process.argv.splice(1, process.argv.length, vitest, "run", ...options);
await import(pathToFileURL(vitest).href);
