/** How a web address is called: credentials, headers and networks, the secrets put in. */
import type { HttpAuth, RestDefinition } from "@millrace/engine";
import type { CompileContext } from "./compile-context.ts";
import { secretValues, withSecrets } from "./secrets.ts";

/** What sections `rest` and `http` have in common. */
export type CallDefinition = Pick<RestDefinition, "auth" | "headers" | "allow">;
type Section = "rest" | "http";

/** @throws HOST-CONNECTOR a secret does not exist */
export function authOf(
  { auth }: CallDefinition,
  node: string,
  section: Section,
  context: CompileContext,
): HttpAuth | undefined {
  if (auth === undefined) return undefined;
  // The graph's check has seen to it that what a type needs is there.
  const text = (value = ""): string => withSecrets(value, context, context.place(node, section, "auth"));
  switch (auth.type) {
    case "bearer":
      return { type: "bearer", token: text(auth.token) };
    case "basic":
      return { type: "basic", user: text(auth.user), password: text(auth.password) };
    case "api-key":
      return { type: "api-key", key: text(auth.key), header: auth.header ?? "X-API-Key" };
    case "oauth2":
      return {
        type: "oauth2",
        tokenUrl: text(auth.tokenUrl),
        clientId: text(auth.clientId),
        clientSecret: text(auth.clientSecret),
        ...(auth.scope === undefined ? {} : { scope: auth.scope }),
      };
  }
}

/** Names in lower case. @throws HOST-CONNECTOR a secret does not exist */
export function headersOf(
  { headers = {} }: CallDefinition,
  node: string,
  section: Section,
  context: CompileContext,
): Readonly<Record<string, string>> {
  const entries = Object.entries(headers).map(([header, value]) => [
    header.toLowerCase(),
    withSecrets(value, context, context.place(node, section, "headers", header)),
  ]);
  return Object.fromEntries(entries);
}

/** The values of all secrets that texts of a node name, which must never be shown. @throws HOST-CONNECTOR */
export function secretsIn(
  texts: readonly string[],
  { headers = {} }: CallDefinition,
  node: string,
  context: CompileContext,
): readonly string[] {
  return [...texts, ...Object.values(headers)].flatMap((text) => secretValues(text, context, context.place(node)));
}
