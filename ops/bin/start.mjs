// npm start: installs and builds what is missing or stale, then becomes `millrace serve` with the same arguments. The
// server runs in this process, so signals and the exit code are its own. The native addon is built beside it; the server
// does not wait for it.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { buildAddonBeside } from "./native.mjs";
import { build, install, requireNode, root } from "./setup.mjs";

requireNode();
install();
build();
if (buildAddonBeside()) process.env.MILLRACE_NATIVE_BUILDS = "1";
const cli = join(root, "ops", "dist-cli", "millrace.js");
process.argv.splice(1, 1, cli, "serve");
await import(pathToFileURL(cli).href);
