/** The keys that a node signs or verifies with, read when the graph is compiled: the model and the log have only their names. */
import { type Place, WebhookKeys } from "@millrace/engine";
import { opsError } from "../errors.ts";
import type { CompileContext } from "./compile-context.ts";
import { withSecrets } from "./secrets.ts";

/** @throws HOST-CONNECTOR the secret does not exist, or is none */
export function webhookKeys(text: string, context: CompileContext, place: Place): WebhookKeys {
  const keys = WebhookKeys.parse(withSecrets(text, context, place));
  if ("fault" in keys) throw opsError("HOST-CONNECTOR", `the secret cannot be used: ${keys.fault}`, { place });
  return keys;
}
