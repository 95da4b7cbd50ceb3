/** RFC 9457 problem documents. The only place where an error's kind and code become an HTTP status. */
import { type ErrorKind, errorEntry, MillraceError, messageOf } from "@millrace/engine";
import { gatewayError } from "./errors.ts";
import { MEANINGS } from "./schema/field.ts";

export interface FieldError {
  /** JSON pointer into the part of the request, e.g. `body/reason`. */
  readonly path: string;
  readonly message: string;
}

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  /** What to do, in one sentence. */
  readonly remedy: string;
  readonly correlationId: string;
  readonly place?: Readonly<Record<string, unknown>>;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly errors?: readonly FieldError[];
}

/** A problem and the header that goes with it. */
export interface ProblemReply {
  readonly problem: Problem;
  /** Whole seconds for `Retry-After`, on 429 and 503. */
  readonly retryAfterSeconds?: number;
  /** True when the fault is the server's: somebody should see the error itself. */
  readonly isFault: boolean;
}

const STATUS_OF_KIND: Readonly<Record<ErrorKind, number>> = {
  rejected: 400,
  terminal: 409,
  transient: 503,
  programmer: 500,
};

const STATUS_OF_CODE: Readonly<Record<string, number>> = {
  UNEXPECTED: 500,
  "HTTP-NOT-FOUND": 404,
  "HTTP-METHOD": 405,
  "HTTP-TOO-LARGE": 413,
  "HTTP-MEDIA-TYPE": 415,
  "HTTP-FORBIDDEN": 403,
  "HTTP-UNAUTHORIZED": 401,
  "HTTP-SIGNATURE": 401,
  "HTTP-STALE": 412,
  // Nobody reads it; the number is the one that is customary.
  "HTTP-CLIENT-GONE": 499,
  "MSG-SIZE": 413,
  "LOG-TOO-LARGE": 413,
  "LOG-CLOSED": 503,
  "LOG-PRUNED": 410,
};

const CODE_OF_STATUS: ReadonlyMap<number, keyof typeof gatewayError.catalogue> = new Map([
  [401, "HTTP-UNAUTHORIZED"],
  [403, "HTTP-FORBIDDEN"],
  [404, "HTTP-NOT-FOUND"],
  [405, "HTTP-METHOD"],
  [413, "HTTP-TOO-LARGE"],
  [415, "HTTP-MEDIA-TYPE"],
  [503, "HTTP-BUSY"],
]);

/** Codes of other workspaces that mean "no such thing" or "too much at once", by their last word. */
function statusOf({ code, kind }: MillraceError): number {
  const exact = STATUS_OF_CODE[code];
  if (exact !== undefined) return exact;
  if (/-(?:UNKNOWN|MISSING|NOT-FOUND)$/.test(code) && kind === "rejected") return 404;
  if (/-(?:BUSY|OVERLOAD|BACKPRESSURE|NO-CREDIT)$/.test(code) && kind === "transient") return 429;
  return STATUS_OF_KIND[kind];
}

const RETRY_AFTER_MS_DEFAULT = 1000;

/** Describes whatever a handler or fastify threw. Nothing of an unexpected error but its code leaves the process. */
export function problemOf(thrown: unknown, correlationId: string): ProblemReply {
  const error = asMillraceError(thrown);
  const status = statusOf(error);
  const isFault = status >= 500 && error.kind !== "transient";
  const entry = errorEntry(error.code);
  const problem: Problem = {
    type: `urn:millrace:error:${error.code}`,
    title: entry?.summary ?? "The request failed.",
    status,
    detail: isFault ? "The server failed; the correlation id finds the reason in its log." : error.message,
    code: error.code,
    remedy: entry?.remedy ?? "Read `detail`.",
    correlationId,
    ...(error.place && !isFault ? { place: { ...error.place } } : {}),
    ...(error.details && !isFault ? detailsOf(error.details) : {}),
  };
  if (status !== 429 && status !== 503) return { problem, isFault };
  return {
    problem,
    isFault,
    retryAfterSeconds: Math.max(1, Math.ceil((error.retryAfterMs ?? RETRY_AFTER_MS_DEFAULT) / 1000)),
  };
}

function detailsOf(details: Readonly<Record<string, unknown>>): Partial<Problem> {
  const { errors, ...rest } = details;
  return {
    ...(Array.isArray(errors) ? { errors: errors as FieldError[] } : {}),
    ...(Object.keys(rest).length > 0 ? { details: rest } : {}),
  };
}

interface FastifyLikeError {
  readonly statusCode?: number;
  readonly validationContext?: string;
  readonly validation?: readonly {
    readonly instancePath: string;
    readonly message?: string;
    readonly params?: object;
  }[];
}

function asMillraceError(thrown: unknown): MillraceError {
  if (thrown instanceof MillraceError) return thrown;
  const { statusCode, validation, validationContext } = (
    typeof thrown === "object" && thrown !== null ? thrown : {}
  ) as FastifyLikeError;
  if (validation) {
    const errors = validation.map((failure) => fieldError(failure, validationContext ?? "request"));
    const first = errors[0];
    return gatewayError("HTTP-INVALID", first ? `${first.path} ${first.message}` : messageOf(thrown), {
      details: { errors },
    });
  }
  if (statusCode === undefined || statusCode < 400 || statusCode >= 600 || (statusCode >= 500 && statusCode !== 503)) {
    return new MillraceError("UNEXPECTED", "terminal", messageOf(thrown), { cause: thrown });
  }
  return gatewayError(CODE_OF_STATUS.get(statusCode) ?? "HTTP-MALFORMED", messageOf(thrown), { cause: thrown });
}

/** What the validator says of the rule that failed, as far as more is to be said of it than its own message does. */
interface RuleParams {
  readonly additionalProperty?: string;
  readonly pattern?: string;
  readonly allowedValues?: readonly unknown[];
}

function fieldError(
  failure: { readonly instancePath: string; readonly message?: string; readonly params?: object },
  part: string,
): FieldError {
  const { additionalProperty: extra, pattern, allowedValues }: RuleParams = failure.params ?? {};
  if (extra !== undefined) return { path: `${part}${failure.instancePath}/${extra}`, message: "is not known here" };
  const meaning = pattern === undefined ? allowedValues?.join(", ") : MEANINGS.get(pattern);
  const before = pattern === undefined ? "must be one of " : "must be ";
  const message = meaning === undefined ? (failure.message ?? "is not valid") : `${before}${meaning}`;
  return { path: `${part}${failure.instancePath}`, message };
}
