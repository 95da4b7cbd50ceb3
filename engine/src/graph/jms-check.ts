/** Checks how the JMS client of a node is set up: that it can be found, and that nothing secret is written down. */
import { isJsonObject } from "../frame/json.ts";
import { IS_SECRET } from "./call-check.ts";
import type { DraftNode } from "./draft.ts";
import type { Path, ProblemList } from "./problem.ts";
import type { Target } from "./target.ts";

const SETTINGS = ["set", "jndi", "system"] as const;
const SECRET_NAME = /passw|secret|passphrase/i;
const REFERENCE = /^\$\{(?:env|file):[^}]+\}$/;
const PLACE_OF_ADDRESS = /\{(?:endpoint|host|port)\}/;

export function checkJms(
  node: DraftNode,
  { scheme, address }: Target,
  fileExists: ((path: string) => boolean) | undefined,
  problems: ProblemList,
): void {
  const path = ["nodes", node.name, "jms"];
  if (scheme !== "jms") {
    if (node.has("jms")) problems.add("GRAPH-CAP", path, "`jms`: only a jms: address has a client of its own", "key");
    return;
  }
  if (!node.has("jms")) {
    problems.add("GRAPH-SCHEMA", ["nodes", node.name], "a jms: address needs `jms` with the vendor's client", "key");
    return;
  }
  checkFactory(node, path, problems);
  checkFiles(node, path, fileExists, problems);
  checkSecrets(node, path, problems);
  const isSeveral = /^\/\/[^/?]*,/.test(address);
  if (isSeveral && !PLACE_OF_ADDRESS.test(JSON.stringify(node.map("jms"))))
    problems.add("GRAPH-SCHEMA", path, "several hosts, and no setting that holds {endpoint}, {host} or {port}", "key");
}

function checkFactory(node: DraftNode, path: Path, problems: ProblemList): void {
  const { factory, lookup, jndi, jndiFile } = node.map("jms");
  if ((factory === undefined) === (lookup === undefined))
    problems.add("GRAPH-SCHEMA", path, "needs either `factory`, a class, or `lookup`, its name in JNDI", "key");
  const hasDirectory = jndi !== undefined || jndiFile !== undefined;
  if (lookup !== undefined && !hasDirectory)
    problems.add("GRAPH-SCHEMA", [...path, "lookup"], "`lookup` needs `jndi` or `jndiFile`", "key");
  if (lookup === undefined && hasDirectory)
    problems.add("GRAPH-SCHEMA", path, "`jndi` and `jndiFile` say where `lookup` looks", "key");
}

function checkFiles(
  node: DraftNode,
  path: Path,
  fileExists: ((path: string) => boolean) | undefined,
  problems: ProblemList,
): void {
  const { classPath, jndiFile } = node.map("jms");
  const check = (file: string, where: Path): void => {
    if (fileExists === undefined || file.includes("${") || fileExists(file)) return;
    problems.add("GRAPH-FILE", where, `there is no file \`${file}\``);
  };
  if (typeof jndiFile === "string") check(jndiFile, [...path, "jndiFile"]);
  if (!Array.isArray(classPath)) return;
  for (const [i, entry] of classPath.entries())
    if (typeof entry === "string") check(entry.replace(/\/\*$/, ""), [...path, "classPath", i]);
}

/** What is in the graph is in the log. */
function checkSecrets(node: DraftNode, path: Path, problems: ProblemList): void {
  for (const part of SETTINGS) {
    const settings = node.map("jms")[part];
    if (!isJsonObject(settings)) continue;
    for (const [name, value] of Object.entries(settings))
      if (SECRET_NAME.test(name) && !REFERENCE.test(String(value)))
        problems.add("GRAPH-SCHEMA", [...path, part, name], IS_SECRET);
  }
}
