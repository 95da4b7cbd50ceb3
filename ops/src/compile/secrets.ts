/** `${env:NAME}` and `${file:PATH}` are resolved by whoever opens the connection; they never enter model, log or messages. */
import { readFileSync } from "node:fs";
import { messageOf, type Place } from "@millrace/engine";
import { opsError } from "../errors.ts";
import type { CompileContext } from "./compile-context.ts";

const SECRET = /\$\{(env|file):([^}]+)\}/g;

/** @throws HOST-CONNECTOR the secret does not exist */
export function withSecrets(text: string, context: CompileContext, place: Place): string {
  return text.replace(SECRET, (_all, scheme: string, name: string) => secretValue(scheme, name, context, place));
}

/** The values of the secrets that a text names. @throws HOST-CONNECTOR one does not exist */
export function secretValues(text: string, context: CompileContext, place: Place): readonly string[] {
  return [...text.matchAll(SECRET)].map(([, scheme = "", name = ""]) => secretValue(scheme, name, context, place));
}

function secretValue(scheme: string, name: string, context: CompileContext, place: Place): string {
  const value = scheme === "env" ? (context.options.secrets ?? process.env)[name] : fileSecret(name, context, place);
  if (value === undefined) throw opsError("HOST-CONNECTOR", `secret ${scheme}:${name} does not exist`, { place });
  return value;
}

function fileSecret(path: string, context: CompileContext, place: Place): string {
  try {
    return readFileSync(context.path(path), "utf8").trim();
  } catch (cause) {
    throw opsError("HOST-CONNECTOR", `secret file:${path} cannot be read: ${messageOf(cause)}`, { place, cause });
  }
}
