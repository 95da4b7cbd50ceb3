/** Checks how a source or sink uses a schema registry: where that is, and that what is asked of it belongs together. */
import { isJsonObject } from "../frame/json.ts";
import { checkAuth, checkNetworks, checkServiceAddress } from "./call-check.ts";
import type { DraftNode } from "./draft.ts";
import type { ProblemList } from "./problem.ts";
import { extensionOf, type Target } from "./target.ts";

/** Connectors whose messages are bytes that a registry's schema may describe. */
const ENCODED = ["kafka", "nats", "rabbitmq", "mqtt", "amqp10", "activemq", "jms", "redis"];
const ENCODED_ARE = `${ENCODED.slice(0, -1)
  .map((scheme) => `${scheme}:`)
  .join(", ")} and ${ENCODED.at(-1)}:`;
export const SCHEMA_FILES = ["avsc", "proto", "json"];

export function checkRegistry(
  node: DraftNode,
  target: Target,
  fileExists: ((path: string) => boolean) | undefined,
  problems: ProblemList,
): void {
  if (!node.has("registry")) return;
  const path = ["nodes", node.name, "registry"];
  const why = whyNot(node, target);
  if (why !== undefined) problems.add("GRAPH-CAP", path, `\`registry\`: ${why}`, "key");
  const { url, auth, allow, ca, schema } = node.map("registry");
  if (typeof url === "string")
    for (const one of url.split(","))
      checkServiceAddress(one.trim(), { path: [...path, "url"], credentials: "registry.auth" }, problems);
  if (isJsonObject(auth)) checkAuth(auth, [...path, "auth"], problems);
  checkNetworks(allow, [...path, "allow"], problems);
  const check = (key: string, file: string): void => {
    if (fileExists === undefined || file.includes("${") || fileExists(file)) return;
    problems.add("GRAPH-FILE", [...path, key], `there is no file \`${file}\``);
  };
  if (typeof ca === "string") check("ca", ca);
  if (typeof schema === "string") check("schema", schema);
  if (node.kind === "sink") checkSchema(node, problems);
}

/** Why messages cannot carry the ids of their schemas; `undefined`: they can. */
function whyNot({ kind }: DraftNode, { scheme, address }: Target): string | undefined {
  if (!ENCODED.includes(scheme)) return `only messages of ${ENCODED_ARE} carry the ids of their schemas`;
  const options = new URLSearchParams(address.split("?")[1]);
  const body = options.get("body") ?? "bytes";
  if (scheme === "jms" && kind === "sink" && body !== "bytes")
    return `messages by a schema are bytes, and the address says \`body=${body}\``;
  if (scheme === "redis" && options.get("field") === "*")
    return "fields of an entry are texts; name the one that messages are in: `field=<name>`";
  return undefined;
}

function checkSchema(node: DraftNode, problems: ProblemList): void {
  const path = ["nodes", node.name, "registry"];
  const { schema, record, subject = "topic", register, references } = node.map("registry");
  if (typeof schema === "string") {
    if (!SCHEMA_FILES.includes(extensionOf(schema)))
      problems.add("GRAPH-SCHEMA", [...path, "schema"], `the file of a schema ends in .${SCHEMA_FILES.join(", .")}`);
    return;
  }
  if (register === true)
    problems.add("GRAPH-SCHEMA", [...path, "register"], "only a `schema` can be registered", "key");
  if (references !== undefined)
    problems.add("GRAPH-SCHEMA", [...path, "references"], "`references` are those of a `schema`", "key");
  if (subject !== "topic" && record === undefined)
    problems.add(
      "GRAPH-SCHEMA",
      [...path, "subject"],
      "a subject named by a record needs `record`, or a `schema`",
      "key",
    );
}
