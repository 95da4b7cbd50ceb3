/**
 * Errors of four kinds, decided by who must act (DESIGN §5): the programmer, nobody yet (try again), an operator, or
 * whoever sent the input. Every error has a stable code from a catalogue, a place, and the cause that led to it.
 *
 * Each workspace declares its own catalogue with {@link defineErrors}; `ops` merges them into the documentation.
 */

/** `programmer` is a bug of ours or of a plug-in; `transient` may pass; `terminal` will not; `rejected` is bad input. */
export type ErrorKind = "programmer" | "transient" | "terminal" | "rejected";

/** Where an error happened. Every field is optional; the most precise ones known are given. */
export interface Place {
  readonly file?: string;
  /** 1-based. */
  readonly line?: number;
  /** 1-based. */
  readonly column?: number;
  readonly graph?: string;
  readonly node?: string;
  readonly edge?: string;
  readonly stream?: string;
  /** Position in the log, or a source's own offset. */
  readonly position?: number;
  /** JSON pointer into the rejected document. */
  readonly path?: string;
}

/** One entry of an error catalogue. */
export interface ErrorEntry {
  readonly kind: ErrorKind;
  /** One sentence for the documentation: what happened. */
  readonly summary: string;
  /** One sentence for the person who meets it: what to do. */
  readonly remedy: string;
}

export interface ErrorOptions {
  readonly cause?: unknown;
  readonly place?: Place | undefined;
  /** For `transient` errors: earliest useful retry, in milliseconds from now. */
  readonly retryAfterMs?: number;
  /** Machine-readable facts (expected and actual revision, limits). Never secrets, never payloads. */
  readonly details?: Readonly<Record<string, unknown>>;
}

export class MillraceError extends Error {
  override readonly name: string = "MillraceError";
  readonly code: string;
  readonly kind: ErrorKind;
  readonly place: Place | undefined;
  readonly retryAfterMs: number | undefined;
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(code: string, kind: ErrorKind, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.kind = kind;
    this.place = options.place;
    this.retryAfterMs = options.retryAfterMs;
    this.details = options.details;
  }

  toJSON(): ErrorReport {
    return reportOf(this);
  }
}

/** A bug: a condition that the code relies on does not hold. Supervisors never resume past it. */
export class InvariantViolation extends MillraceError {
  override readonly name = "InvariantViolation";
  constructor(message: string, options: ErrorOptions = {}) {
    super("INVARIANT", "programmer", message, options);
  }
}

export function invariant(condition: unknown, why: string): asserts condition {
  if (!condition) throw new InvariantViolation(why);
}

/** The serialisable form of an error, for logs, dead letters and the API. */
export interface ErrorReport {
  readonly code: string;
  readonly kind: ErrorKind;
  readonly message: string;
  readonly place?: Place;
  readonly details?: Readonly<Record<string, unknown>>;
  /** Messages of the causes, nearest first. */
  readonly causes?: readonly string[];
}

const CAUSES_MAX = 8;

/** Describes any thrown value. A value that is not a {@link MillraceError} is reported as `UNEXPECTED`. */
export function reportOf(thrown: unknown): ErrorReport {
  const causes: string[] = [];
  for (let c = causeOf(thrown); c !== undefined && causes.length < CAUSES_MAX; c = causeOf(c))
    causes.push(messageOf(c));
  const tail = causes.length > 0 ? { causes } : {};
  if (!(thrown instanceof MillraceError))
    return { code: "UNEXPECTED", kind: "terminal", message: messageOf(thrown), ...tail };
  return {
    code: thrown.code,
    kind: thrown.kind,
    message: thrown.message,
    ...(thrown.place ? { place: thrown.place } : {}),
    ...(thrown.details ? { details: thrown.details } : {}),
    ...tail,
  };
}

export function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message || thrown.name;
  try {
    return String(thrown);
  } catch {
    return "a value that cannot be described";
  }
}

function causeOf(thrown: unknown): unknown {
  return thrown instanceof Error ? thrown.cause : undefined;
}

/** Codes in use, over all catalogues of the process: a code means one thing. */
const known = new Map<string, ErrorEntry>();

/**
 * Declares a catalogue and returns the function that makes its errors.
 *
 * @example
 * export const logError = defineErrors({
 *   "LOG-FULL": { kind: "transient", summary: "No space for a segment.", remedy: "Free disk space; appends resume by themselves." },
 * });
 * throw logError("LOG-FULL", "no space left for segment 7", { retryAfterMs: 1000 });
 */
export function defineErrors<const C extends Readonly<Record<string, ErrorEntry>>>(
  catalogue: C,
): ((code: keyof C & string, message: string, options?: ErrorOptions) => MillraceError) & { readonly catalogue: C } {
  for (const [code, entry] of Object.entries(catalogue)) {
    const other = known.get(code);
    invariant(other === undefined || other === entry, `error code ${code} is declared twice`);
    known.set(code, entry);
  }
  const make = (code: keyof C & string, message: string, options?: ErrorOptions): MillraceError =>
    new MillraceError(code, (catalogue[code] as ErrorEntry).kind, message, options);
  return Object.assign(make, { catalogue });
}

/** The catalogue entry of a code that some loaded workspace declares. */
export function errorEntry(code: string): ErrorEntry | undefined {
  return known.get(code);
}

/** Every code declared by the workspaces loaded so far, sorted. */
export function errorCodes(): readonly string[] {
  return [...known.keys()].sort();
}

/** The engine's own catalogue. */
export const engineError = defineErrors({
  INVARIANT: {
    kind: "programmer",
    summary: "A condition the code relies on does not hold.",
    remedy: "This is a bug: report it with the message and the log position.",
  },
  UNEXPECTED: {
    kind: "terminal",
    summary: "Code of a plug-in or library failed without a code of its own.",
    remedy: "Read the cause chain.",
  },
  "EVENT-SCHEMA": {
    kind: "terminal",
    summary: "An event was written with a schema version that this code does not know.",
    remedy: "Read this log with the version of Millrace, or of your projection, that wrote the event, or a later one.",
  },
  "EVENT-PAYLOAD": {
    kind: "terminal",
    summary: "The payload of an event does not decode.",
    remedy: "Read the cause: either the event is not what its type says, or an upcaster failed on it.",
  },
  "EDGE-GAP": {
    kind: "terminal",
    summary: "A receiver needs a range of an edge that is no longer kept.",
    remedy: "Decide about the exact range in the details: backfill from the log or accept the loss.",
  },
  "GRAPH-STOPPED": {
    kind: "terminal",
    summary: "A graph was stopped while it started.",
    remedy: "Nothing, if it was to be stopped; otherwise start it again: it goes on where its log says.",
  },
  "NODE-FENCED": {
    kind: "terminal",
    summary: "Another owner writes this node's stream.",
    remedy: "Nothing: this incarnation stops and publishes nothing.",
  },
  "NODE-STATE": {
    kind: "terminal",
    summary: "A prune of the log carried the state of a node in a form that this code does not know.",
    remedy: "Run the version that the log was last used with: the steps that the state came of are gone.",
  },
  "NODE-PARKED": {
    kind: "terminal",
    summary: "A node failed more often than its supervisor allows.",
    remedy: "Read the cause chain, fix it, and resume the graph.",
  },
  "NODE-NONDETERMINISM": {
    kind: "programmer",
    summary: "Executing a logged step again gave another result.",
    remedy: "Mark what the node draws, reads or calls as recorded, or commit the node.",
  },
  "CREDIT-OVERRUN": {
    kind: "programmer",
    summary: "A sender pushed more than the credit it was given.",
    remedy: "This is a bug in a transport or a behavior.",
  },
  "MSG-POISON": {
    kind: "terminal",
    summary: "A message makes a behavior fail each time.",
    remedy: "Look at the dead letter; correct and redrive it, or discard it.",
  },
  "MSG-DECODE": {
    kind: "rejected",
    summary: "Bytes of a message or frame do not decode.",
    remedy: "Look at the dead letter for the position and the reason.",
  },
  "MSG-TIME": {
    kind: "rejected",
    summary: "A message has no readable event time.",
    remedy: "Correct the field named by `time`, or leave `time` out.",
  },
  "MSG-SIZE": {
    kind: "rejected",
    summary: "A message is larger than the limit, or its values are nested more than 500 deep.",
    remedy: "Send less in one message, or raise the limit of the source; that of nesting is fixed.",
  },
  "SOURCE-MISSING": {
    kind: "transient",
    summary: "What a source reads from does not exist.",
    remedy: "Create it or correct its address; the source retries.",
  },
  "SOURCE-FAILED": {
    kind: "transient",
    summary: "Reading from a source failed.",
    remedy: "Read the cause; the source retries with back-off.",
  },
  "SOURCE-GAP": {
    kind: "terminal",
    summary: "A source no longer has a range of messages that was not read yet.",
    remedy:
      "The details name the range. Restore it in the source, or accept the loss with `gap=record`, which writes it down as a dead letter.",
  },
  "SOURCE-RECREATED": {
    kind: "terminal",
    summary: "What a source reads from was deleted and made anew, so its positions mean other messages now.",
    remedy: "Restore it, or give the source node another name, so that it begins anew.",
  },
  "SINK-FAILED": {
    kind: "transient",
    summary: "Delivering to a target failed.",
    remedy: "Read the cause; the sink retries with back-off.",
  },
});
