/**
 * Who may change things (DESIGN §12). Reads are open to whoever reaches the socket, which is this machine by default;
 * a name that is not this machine's is refused, so that no web page reaches it by rebinding DNS. A change must not come from
 * pages of others, and carries the token where one is set, from our own pages too: any program can say that it is a page of ours.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { FastifyRequest } from "fastify";
import { gatewayError } from "./errors.ts";

export interface GuardOptions {
  /** Host names under which this server is known, beside the loopback names. `*` accepts any. */
  readonly hosts?: readonly string[];
  /** Further origins whose pages may send changes. */
  readonly origins?: readonly string[];
  /** When set, changes need `Authorization: Bearer <token>`. */
  readonly token?: string;
}

const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];
const READING = new Set(["GET", "HEAD", "OPTIONS"]);

export class Guard {
  readonly #hosts: ReadonlySet<string>;
  readonly #origins: ReadonlySet<string>;
  readonly #tokenHash: Buffer | undefined;

  constructor({ hosts = [], origins = [], token }: GuardOptions = {}) {
    this.#hosts = new Set([...LOOPBACK, ...hosts]);
    this.#origins = new Set(origins);
    this.#tokenHash = token === undefined ? undefined : sha256(token);
  }

  /**
   * A request that is to be `isSigned` shows by its signature where it comes from; that is looked at with its body.
   *
   * @throws HTTP-FORBIDDEN a foreign host name or origin
   * @throws HTTP-UNAUTHORIZED a token is needed, and missing or wrong
   */
  admit(request: FastifyRequest, isSigned = false): void {
    if (!this.#hosts.has("*") && !this.#hosts.has(request.hostname)) {
      throw gatewayError("HTTP-FORBIDDEN", `this server is not ${request.hostname}`);
    }
    if (READING.has(request.method) || isSigned) return;
    if (this.#hasToken(request)) return;
    const { origin } = request.headers;
    if (origin !== undefined && !isOwn(origin, request.host) && !this.#origins.has(origin))
      throw gatewayError("HTTP-FORBIDDEN", `changes are not accepted from pages of ${origin}`);
    if (this.#tokenHash) throw gatewayError("HTTP-UNAUTHORIZED", "this change needs the token");
  }

  /** Who a request speaks for, as written into events. */
  principal(request: FastifyRequest): string {
    if (this.#tokenHash && this.#hasToken(request)) return "token";
    return request.headers.origin === undefined ? "local" : "console";
  }

  #hasToken(request: FastifyRequest): boolean {
    const { authorization } = request.headers;
    if (authorization === undefined || !this.#tokenHash) return false;
    const [scheme, token = ""] = authorization.split(" ", 2);
    if (scheme?.toLowerCase() === "bearer" && timingSafeEqual(sha256(token), this.#tokenHash)) return true;
    throw gatewayError("HTTP-UNAUTHORIZED", "the token is not valid");
  }
}

function isOwn(origin: string, host: string): boolean {
  return origin === `http://${host}` || origin === `https://${host}`;
}

const sha256 = (text: string): Buffer => createHash("sha256").update(text).digest();
