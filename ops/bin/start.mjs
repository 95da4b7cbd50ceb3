// npm start: installs and builds what is missing or stale, then becomes `millrace serve` with the same arguments. The
// server runs in this process, so signals and the exit code are its own.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build, install, requireNode, root } from "./setup.mjs";

requireNode();
install();
build();
const cli = join(root, "ops", "dist", "cli", "main.js");
process.argv.splice(1, 1, cli, "serve");
await import(pathToFileURL(cli).href);
