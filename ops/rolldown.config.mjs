/**
 * The command line in few files: a process of it would read and compile hundreds of modules before its first line, and most of its
 * start would be that. `dist-cli/` is made from what tsc wrote in the workspaces; npm packages stay where they are.
 *
 * Threads and processes that a path is made for are not in it, and start from the workspaces' own files, unless the path is written as
 * `new URL("./name.js", import.meta.url)`: then they are entries beside it.
 */
import { dirname, isAbsolute, join, relative } from "node:path";
import { defineConfig } from "rolldown";

const here = import.meta.dirname;
const out = join(here, "dist-cli");
const packages = join(here, "..", "node_modules/");

/** @type {import("rolldown").Plugin} */
const places = {
  name: "places",
  /** A package that a workspace has a version of for itself is loaded from there. */
  async resolveId(source, importer) {
    if (/^(?:[./]|node:|@millrace\/)/.test(source)) return null;
    const resolved = await this.resolve(source, importer, { skipSelf: true });
    if (resolved === null) throw new Error(`${source} is not there for ${importer}`);
    const isShared = !isAbsolute(resolved.id) || resolved.id.startsWith(packages);
    return { id: isShared ? source : relative(out, resolved.id), external: true };
  },
  transform(code, id) {
    if (!code.includes("import.meta.url")) return null;
    const entry = (_, path) => {
      const chunk = this.emitFile({ type: "chunk", id: join(dirname(id), path) });
      return `new URL(import.meta.ROLLUP_FILE_URL_${chunk})`;
    };
    return code
      .replaceAll(/new URL\("(\.[^"]+\.js)", import\.meta\.url\)/g, entry)
      .replaceAll("import.meta.url", `new URL(${JSON.stringify(relative(out, id))}, import.meta.url).href`);
  },
};

export default defineConfig({
  input: { millrace: join(here, "dist", "cli", "main.js") },
  platform: "node",
  plugins: [places],
  output: { dir: out, cleanDir: true, entryFileNames: "[name].js", chunkFileNames: "[name]-[hash].js" },
});
