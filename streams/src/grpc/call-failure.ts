/** What a call that failed means: tried again, or not, with a code of ours. https://grpc.github.io/grpc/core/md_doc_statuscodes.html */

import { type ServiceError, status } from "@grpc/grpc-js";
import type { MillraceError } from "@millrace/engine";
import { grpcError } from "./errors.ts";

/** The service says that the request is wrong, and would be however often it is sent. */
const REFUSALS: ReadonlySet<number> = new Set([
  status.INVALID_ARGUMENT,
  status.NOT_FOUND,
  status.ALREADY_EXISTS,
  status.FAILED_PRECONDITION,
  status.OUT_OF_RANGE,
]);
/** Also what no other request would change, but for whoever reads. */
const FINAL_FOR_SOURCES: ReadonlySet<number> = new Set([...REFUSALS, status.UNIMPLEMENTED, status.DATA_LOSS]);
/** The words of C, Go, Java, JavaScript, .NET and Rust; no code of its own tells it from a service that is overloaded. */
const TOO_LARGE = /larger than max|exceeds (?:the )?maximum|length too large/i;
const SIZE_CODES: ReadonlySet<number> = new Set([status.RESOURCE_EXHAUSTED, status.OUT_OF_RANGE]);
const SAID_CHARS = 300;
/** https://github.com/grpc/proposal/blob/master/A6-client-retries.md */
const PUSHBACK = "grpc-retry-pushback-ms";
const PUSHBACK_MS_MAX = 3_600_000;

export interface FailureContext {
  /** The method and where it is, for people. */
  readonly name: string;
  /** Takes secrets out of a text. */
  readonly hide: (text: string) => string;
}

/** @returns GRPC-REFUSED, GRPC-MESSAGE-SIZE, or GRPC-STATUS (transient) */
export function sourceFailure(error: ServiceError, context: FailureContext): MillraceError {
  if (isTooLarge(error))
    return grpcError("GRPC-MESSAGE-SIZE", `${context.name} sends too much: ${said(error, context)}`);
  return FINAL_FOR_SOURCES.has(error.code)
    ? grpcError("GRPC-REFUSED", messageOf(error, context), { details: detailsOf(error) })
    : transient(error, context);
}

/** @returns GRPC-MESSAGE-REFUSED, GRPC-TOO-LARGE, or GRPC-STATUS (transient) */
export function sinkFailure(error: ServiceError, context: FailureContext): MillraceError {
  if (isTooLarge(error)) return grpcError("GRPC-TOO-LARGE", messageOf(error, context));
  return REFUSALS.has(error.code)
    ? grpcError("GRPC-MESSAGE-REFUSED", messageOf(error, context), { details: detailsOf(error) })
    : transient(error, context);
}

function transient(error: ServiceError, context: FailureContext): MillraceError {
  const [asked] = error.metadata?.get(PUSHBACK) ?? [];
  const waitMs = Number(asked);
  return grpcError("GRPC-STATUS", messageOf(error, context), {
    details: detailsOf(error),
    ...(waitMs > 0 ? { retryAfterMs: Math.min(waitMs, PUSHBACK_MS_MAX) } : {}),
  });
}

const isTooLarge = ({ code, details }: ServiceError): boolean => SIZE_CODES.has(code) && TOO_LARGE.test(details);

const nameOf = (code: number): string => status[code] ?? String(code);

const detailsOf = ({ code }: ServiceError): { readonly status: string } => ({ status: nameOf(code) });

function messageOf(error: ServiceError, context: FailureContext): string {
  const text = said(error, context);
  return `${context.name} answered ${nameOf(error.code)}${text === "" ? "" : `: ${text}`}`;
}

const said = ({ details }: ServiceError, { hide }: FailureContext): string => hide(details).trim().slice(0, SAID_CHARS);
