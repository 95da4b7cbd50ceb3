/** Pushes to sources with a secret: the signature is looked at before anything of the body is understood. */
import type { WebhookKeys } from "@millrace/engine";
import type { FastifyRequest } from "fastify";
import type { GatewayDeps } from "../deps.ts";
import { gatewayError } from "../errors.ts";

export const PUSH_URL = "/api/v1/graphs/:graph/push/:node";

/** What a request must be signed with; `undefined` where it need not be, and for what is no push. */
export function keysOfPush(request: FastifyRequest, { host }: Pick<GatewayDeps, "host">): WebhookKeys | undefined {
  if (request.routeOptions.url !== PUSH_URL || request.method !== "POST") return undefined;
  const { graph, node } = request.params as { readonly graph: string; readonly node: string };
  return host.pushKeys(graph, node);
}

/** Ids of requests whose signature was found right, until they are answered. */
export class SignedPushes {
  readonly #deps: Pick<GatewayDeps, "host" | "env">;
  readonly #ids = new WeakMap<FastifyRequest, string>();

  constructor(deps: Pick<GatewayDeps, "host" | "env">) {
    this.#deps = deps;
  }

  /** True: the request had to be signed, and is. @throws HTTP-SIGNATURE */
  check(request: FastifyRequest, body: Uint8Array): boolean {
    const keys = keysOfPush(request, this.#deps);
    if (keys === undefined) return false;
    const verdict = keys.verify(request.headers, body, this.#deps.env.clock.now());
    if ("fault" in verdict)
      throw gatewayError("HTTP-SIGNATURE", verdict.message, { details: { reason: verdict.fault } });
    this.#ids.set(request, verdict.id);
    return true;
  }

  /** The id that the push is taken once by. @throws HTTP-SIGNATURE it had to be signed, and its signature was never looked at */
  idOf(request: FastifyRequest): string | undefined {
    const id = this.#ids.get(request);
    if (id !== undefined) return id;
    if (keysOfPush(request, this.#deps) !== undefined)
      throw gatewayError("HTTP-SIGNATURE", "the request has no body", { details: { reason: "missing" } });
    const key = request.headers["idempotency-key"];
    return typeof key === "string" ? key : undefined;
  }
}
