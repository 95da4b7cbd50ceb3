/** How the service of a calculator is called, its secrets put in. */
import type { RestOptions } from "@millrace/actors";
import { type AnyNodeModel, durationMs, type HttpClient } from "@millrace/engine";
import { opsError } from "../errors.ts";
import { authOf, headersOf } from "./call-options.ts";
import type { CompileContext } from "./compile-context.ts";
import { withSecrets } from "./secrets.ts";

type CalculatorModel = Extract<AnyNodeModel, { kind: "calculator" }>;

/** @throws HOST-CONNECTOR a secret does not exist, or the address with its secrets is none */
export async function restOptions(
  { name, definition: { use, deadline, rest = {} } }: CalculatorModel,
  context: CompileContext,
): Promise<RestOptions & { readonly client: () => HttpClient }> {
  const url = addressOf(withSecrets(use, context, context.place(name, "use")), name, context);
  const { guardedHttpClient } = await import("@millrace/streams/http");
  const { batch, format, connections, attempts, backoff, circuit = {}, allow = [], details } = rest;
  const { answerBytes, payloadBytes } = rest;
  const auth = authOf(rest, name, "rest", context);
  return {
    url,
    place: context.place(name, "use"),
    client: () =>
      guardedHttpClient({ allow, ...(connections === undefined ? {} : { connections }) }, context.options.env),
    headers: headersOf(rest, name, "rest", context),
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
    ...(payloadBytes === undefined ? {} : { payloadBytesMax: payloadBytes }),
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
