/** Checks how a source or sink calls a method of a gRPC service. What its description says is checked by whoever reads that. */
import { isJsonObject } from "../frame/json.ts";
import { IS_SECRET } from "./call-check.ts";
import type { DraftNode } from "./draft.ts";
import type { ProblemList } from "./problem.ts";
import { secretsOf } from "./substitution.ts";
import { extensionOf } from "./target.ts";

/** Texts, and what compilers make of them. */
const DESCRIPTIONS = ["proto", "binpb", "pb", "desc"];
/** Keys of metadata in the protocol; those with `-bin` at the end hold bytes. */
const KEY = /^[0-9a-z_.-]+$/i;
const OWN_KEY = /^grpc-|^(?:content-type|te|host|user-agent|idempotency-key)$|-bin$/i;
const SECRET_KEY = /authorization|api-?key|token|secret|password|cookie/i;

export function checkGrpc(
  node: DraftNode,
  scheme: string,
  fileExists: ((path: string) => boolean) | undefined,
  problems: ProblemList,
): void {
  const path = ["nodes", node.name, "grpc"];
  if (scheme !== "grpc") {
    if (node.has("grpc")) problems.add("GRAPH-CAP", path, "`grpc`: only a grpc: address is called so", "key");
    return;
  }
  if (!node.has("grpc")) {
    const message = "a grpc: address needs `grpc: { proto: … }`, the file that describes its service";
    problems.add("GRAPH-SCHEMA", ["nodes", node.name, node.kind === "source" ? "from" : "to"], message);
    return;
  }
  if (node.has("format") && node.text("format") !== "cloudevents")
    problems.add(
      "GRAPH-CAP",
      ["nodes", node.name, "format"],
      "`format`: the description of the service says it",
      "key",
    );
  const { proto, metadata } = node.map("grpc");
  if (typeof proto === "string") checkDescription(proto, [...path, "proto"], fileExists, problems);
  if (isJsonObject(metadata))
    for (const [key, value] of Object.entries(metadata))
      checkMetadata(key, value, [...path, "metadata", key], problems);
}

function checkDescription(
  proto: string,
  path: readonly string[],
  fileExists: ((path: string) => boolean) | undefined,
  problems: ProblemList,
): void {
  if (!DESCRIPTIONS.includes(extensionOf(proto)))
    problems.add("GRAPH-SCHEMA", path, `the description of a service ends in .${DESCRIPTIONS.join(", .")}`);
  else if (fileExists !== undefined && !proto.includes("${") && !fileExists(proto))
    problems.add("GRAPH-FILE", path, `there is no file \`${proto}\``);
}

function checkMetadata(key: string, value: unknown, path: readonly string[], problems: ProblemList): void {
  if (OWN_KEY.test(key) || !KEY.test(key))
    problems.add("GRAPH-SCHEMA", path, `\`${key}\` is no metadata that can be given`, "key");
  else if (SECRET_KEY.test(key) && typeof value === "string" && secretsOf(value).length === 0)
    problems.add("GRAPH-SCHEMA", path, IS_SECRET);
}
