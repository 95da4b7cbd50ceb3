/** Checks the addresses of brokers, and that what is asked of one lies in what it can do. */
import type { DraftNode } from "./draft.ts";
import { parseNatsAddress } from "./nats-address.ts";
import type { ProblemList } from "./problem.ts";
import type { Target } from "./target.ts";

/** Secrets are put in when the connection is opened; until then they are some text. */
const withoutSecrets = (address: string): string => address.replace(/\$\{(?:env|file):[^}]*\}/g, "secret");

/** Reports what is wrong with a source that reads from a broker, and says which keys it cannot honour, and why. */
export function checkBrokerSource(node: DraftNode, { scheme, address }: Target, problems: ProblemList): void {
  if (scheme !== "nats") return;
  const parsed = parseNatsAddress(withoutSecrets(address), "source");
  if ("fault" in parsed) {
    problems.add("GRAPH-SCHEMA", ["nodes", node.name, "from"], `\`${scheme}:${address}\`: ${parsed.fault}`);
    return;
  }
  forbid(node, ["follow"], "a broker's messages are always followed", problems);
  if (parsed.kind === "core")
    forbid(
      node,
      ["time", "watermark", "speed"],
      "core NATS keeps nothing, so event times cannot be told again after a crash; read a JetStream stream",
      problems,
    );
}

export function checkBrokerSink(node: DraftNode, { scheme, address }: Target, problems: ProblemList): void {
  if (scheme !== "nats") return;
  const parsed = parseNatsAddress(withoutSecrets(address), "sink");
  if ("fault" in parsed) {
    problems.add("GRAPH-SCHEMA", ["nodes", node.name, "to"], `\`${scheme}:${address}\`: ${parsed.fault}`);
    return;
  }
  const keys = node.list("key").length;
  if (parsed.kind === "kv" && keys !== 1)
    problems.add("GRAPH-SCHEMA", ["nodes", node.name], "a key-value bucket needs `key` with one field", "key");
}

function forbid(node: DraftNode, keys: readonly string[], why: string, problems: ProblemList): void {
  for (const key of keys)
    if (node.has(key)) problems.add("GRAPH-CAP", ["nodes", node.name, key], `\`${key}\`: ${why}`, "key");
}
