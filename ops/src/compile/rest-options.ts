/** How the service of a calculator is called, its secrets put in. */
import type { RestAuth, RestOptions } from "@millrace/actors";
import { type AnyNodeModel, durationMs, type HttpClient, type RestDefinition } from "@millrace/engine";
import { opsError } from "../errors.ts";
import type { CompileContext } from "./compile-context.ts";
import { withSecrets } from "./secrets.ts";

type CalculatorModel = Extract<AnyNodeModel, { kind: "calculator" }>;

/** @throws HOST-CONNECTOR a secret does not exist, or the address with its secrets is none */
export async function restOptions(
  { name, definition: { use, deadline, rest = {} } }: CalculatorModel,
  context: CompileContext,
): Promise<RestOptions & { readonly client: () => HttpClient }> {
  const put = (text: string, ...keys: readonly string[]): string =>
    withSecrets(text, context, context.place(name, ...keys));
  const url = addressOf(put(use, "use"), name, context);
  const { guardedHttpClient } = await import("@millrace/streams/http");
  const { batch, format, connections, attempts, backoff, circuit = {}, answerBytes, allow = [], details } = rest;
  const auth = rest.auth === undefined ? undefined : authOf(rest.auth, (text) => put(text, "rest", "auth"));
  return {
    url,
    place: context.place(name, "use"),
    client: () =>
      guardedHttpClient({ allow, ...(connections === undefined ? {} : { connections }) }, context.options.env),
    headers: Object.fromEntries(
      Object.entries(rest.headers ?? {}).map(([header, value]) => [
        header.toLowerCase(),
        put(value, "rest", "headers", header),
      ]),
    ),
    circuit: {
      ...(circuit.failures === undefined ? {} : { failures: circuit.failures }),
      ...(circuit.wait === undefined ? {} : { waitMs: durationMs(circuit.wait) }),
    },
    ...(auth === undefined ? {} : { auth }),
    ...(batch === undefined ? {} : { batch }),
    ...(format === undefined ? {} : { format }),
    ...(connections === undefined ? {} : { connections }),
    ...(deadline === undefined ? {} : { deadlineMs: durationMs(deadline) }),
    ...(attempts === undefined ? {} : { attemptsMax: attempts }),
    ...(backoff === undefined ? {} : { backoffMs: durationMs(backoff) }),
    ...(answerBytes === undefined ? {} : { answerBytesMax: answerBytes }),
    ...(details === undefined ? {} : { detailsUrl: new URL(details, url).href }),
  };
}

function addressOf(text: string, node: string, context: CompileContext): string {
  try {
    return new URL(text).href;
  } catch {
    // The text may hold a secret, and so may the error.
    const place = context.place(node, "use");
    throw opsError("HOST-CONNECTOR", "the address of the service, with its secrets, is none", { place });
  }
}

type AuthDefinition = NonNullable<RestDefinition["auth"]>;

/** The graph's check has seen to it that what a type needs is there. */
function authOf(auth: AuthDefinition, put: (text: string) => string): RestAuth {
  const text = (value: string | undefined): string => put(value ?? "");
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
