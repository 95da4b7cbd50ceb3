/**
 * Who may change things over gRPC: as over HTTP, anybody who reaches the socket until a token is set, then whoever sends it,
 * as `Bearer <token>` or as the password of the credentials that EventStoreDB clients are given.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http2";
import { eventStoreError } from "./errors.ts";

export class Access {
  readonly #tokenHash: Buffer | undefined;

  constructor(token: string | undefined) {
    this.#tokenHash = token === undefined ? undefined : sha256(token);
  }

  /** True when nothing is asked of whoever reaches the socket. */
  get isOpen(): boolean {
    return this.#tokenHash === undefined;
  }

  /** The principal that the caller speaks for. @throws EVENTSTORE-DENIED */
  mayChange(headers: IncomingHttpHeaders): string {
    const { name, secret } = credentials(headers.authorization);
    if (this.#tokenHash === undefined) return name === "" ? "local" : `local:${name}`;
    if (secret !== undefined && timingSafeEqual(sha256(secret), this.#tokenHash))
      return name === "" ? "token" : `token:${name}`;
    throw eventStoreError(
      "EVENTSTORE-DENIED",
      `Access denied: the token is ${secret === undefined ? "missing" : "wrong"}.`,
    );
  }
}

const NAME_CHARS_MAX = 100;

function credentials(authorization: string | undefined): {
  readonly name: string;
  readonly secret: string | undefined;
} {
  const [scheme = "", value = ""] = authorization?.split(" ", 2) ?? [];
  if (scheme.toLowerCase() === "bearer") return { name: "", secret: value };
  if (scheme.toLowerCase() !== "basic") return { name: "", secret: undefined };
  const text = Buffer.from(value, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return { name: text.slice(0, Math.max(0, colon)).slice(0, NAME_CHARS_MAX), secret: text.slice(colon + 1) };
}

const sha256 = (text: string): Buffer => createHash("sha256").update(text).digest();
