/** How outcomes go over the wire: gRPC status codes, and the trailers by which the published clients know an error. */
import { type ErrorKind, MillraceError, messageOf } from "@millrace/engine";

/** https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
export const GRPC = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;

export interface GrpcStatus {
  readonly code: number;
  readonly message: string;
  readonly trailers: Readonly<Record<string, string>>;
}

export const OK: GrpcStatus = { code: GRPC.ok, message: "", trailers: {} };

const STATUS_OF_KIND: Readonly<Record<ErrorKind, number>> = {
  rejected: GRPC.invalidArgument,
  terminal: GRPC.failedPrecondition,
  transient: GRPC.unavailable,
  programmer: GRPC.internal,
};

const STATUS_OF_CODE: Readonly<Record<string, number>> = {
  "EVENTSTORE-DENIED": GRPC.permissionDenied,
  "EVENTSTORE-NOT-FOUND": GRPC.notFound,
  "EVENTSTORE-UNIMPLEMENTED": GRPC.unimplemented,
  "EVENTSTORE-USER-MISSING": GRPC.notFound,
  "EVENTSTORE-GROUP-MISSING": GRPC.notFound,
  "EVENTSTORE-GROUP-EXISTS": GRPC.alreadyExists,
  "EVENTSTORE-GROUP-DROPPED": GRPC.cancelled,
  "EVENTSTORE-PROJECTION-MISSING": GRPC.notFound,
  "EVENTSTORE-PROJECTION-EXISTS": GRPC.alreadyExists,
  "LOG-FULL": GRPC.resourceExhausted,
  "LOG-TOO-LARGE": GRPC.invalidArgument,
  "LOG-CLOSED": GRPC.unavailable,
  "LOG-UNKNOWN": GRPC.aborted,
};

/** The `exception` trailer of EventStoreDB, which its clients turn into an error type. */
const EXCEPTION_OF_CODE: Readonly<Record<string, string>> = {
  "EVENTSTORE-DENIED": "access-denied",
  "EVENTSTORE-DELETED": "stream-deleted",
  "EVENTSTORE-NOT-FOUND": "stream-not-found",
  "EVENTSTORE-USER-MISSING": "user-not-found",
  "EVENTSTORE-METADATA": "missing-required-metadata-property",
  "EVENTSTORE-TOO-LARGE": "maximum-append-size-exceeded",
  "EVENTSTORE-WRONG-VERSION": "wrong-expected-version",
  "EVENTSTORE-GROUP-MISSING": "persistent-subscription-does-not-exist",
  "EVENTSTORE-GROUP-EXISTS": "persistent-subscription-exists",
  "EVENTSTORE-GROUP-FULL": "maximum-subscribers-reached",
  "EVENTSTORE-GROUP-DROPPED": "persistent-subscription-dropped",
};

const TRAILER_OF_DETAIL: Readonly<Record<string, string>> = {
  stream: "stream-name",
  group: "group-name",
  user: "login-name",
  expected: "expected-version",
  actual: "actual-version",
  appendBytesMax: "maximum-append-size",
  properties: "required-metadata-properties",
};

/** What a client shows. Of an error that EventStoreDB does not have, clients of it show the text alone. */
export function textOf(thrown: unknown): string {
  const text = messageOf(thrown);
  return thrown instanceof MillraceError && thrown.code === "LOG-CONDITION" ? `${thrown.code}: ${text}` : text;
}

export function statusOf(thrown: unknown): GrpcStatus {
  if (!(thrown instanceof MillraceError)) return { code: GRPC.internal, message: messageOf(thrown), trailers: {} };
  const { code, kind, details = {} } = thrown;
  const exception = EXCEPTION_OF_CODE[code];
  const facts = Object.entries(details).flatMap(([name, value]) => {
    const trailer = TRAILER_OF_DETAIL[name];
    return trailer === undefined ? [] : [[trailer, String(value)] as const];
  });
  return {
    code: STATUS_OF_CODE[code] ?? STATUS_OF_KIND[kind],
    message: textOf(thrown),
    trailers: {
      "millrace-code": code,
      ...(exception === undefined ? {} : { exception, ...Object.fromEntries(facts) }),
    },
  };
}
