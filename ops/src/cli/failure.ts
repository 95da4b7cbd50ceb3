/** What a person sees when a command fails, and the exit code of it (see `exit-codes` in the documentation). */
import type { ErrorReport, Problem } from "@millrace/engine";
import { errorEntry, formatProblem, MillraceError, reportOf } from "@millrace/engine/worker";
import pc from "picocolors";
import { inert } from "./terminal-text.ts";

export const EXIT = {
  ok: 0,
  /** Findings: validation errors, a failed check, a run that could not end. */
  findings: 1,
  /** Wrong usage or broken configuration. */
  usage: 2,
  unreachable: 3,
  notPermitted: 4,
  interrupted: 130,
} as const;

const CODES: Readonly<Record<string, number>> = {
  "CLI-UNREACHABLE": EXIT.unreachable,
  "ESDB-UNREACHABLE": EXIT.unreachable,
  "ESDB-TLS": EXIT.unreachable,
  "ESDB-DENIED": EXIT.notPermitted,
  "HTTP-FORBIDDEN": EXIT.notPermitted,
  "HTTP-UNAUTHORIZED": EXIT.notPermitted,
  "HOST-PARKED": EXIT.findings,
  // It may pass, so its kind is not that of a refusal; it ends a command only where a graph is refused.
  "SINK-OCCUPIED": EXIT.usage,
  "EVENT-SCHEMA": EXIT.findings,
  "EVENT-PAYLOAD": EXIT.findings,
  "LOG-FSYNC": 70,
};

/** Writes the failure and returns the exit code. */
export function reportFailure(thrown: unknown, json: boolean): number {
  const report = reportOf(thrown);
  if (json) process.stdout.write(`${JSON.stringify({ error: report })}\n`);
  process.stderr.write(`${failureText(report)}\n`);
  if (!(thrown instanceof MillraceError) && thrown instanceof Error && process.env.MILLRACE_STACK) {
    process.stderr.write(`${thrown.stack}\n`);
  }
  return exitCodeOf(thrown, report.code);
}

function exitCodeOf(thrown: unknown, code: string): number {
  const own = CODES[code];
  if (own !== undefined) return own;
  return thrown instanceof MillraceError && thrown.kind === "rejected" ? EXIT.usage : EXIT.findings;
}

/** `place CODE message`, the problems of graph files, the causes, and what to do. */
export function failureText({ code, message, place, details, causes = [] }: ErrorReport): string {
  const where = placeText({ place, details });
  // The server's codes are known to the server, and it says what to do.
  const remedy = errorEntry(code)?.remedy ?? details?.remedy;
  const further = causes.filter((cause) => !message.includes(cause));
  // What failed may quote what somebody sent.
  const lines = [
    `${inert(where)}${pc.red(code)} ${inert(message)}`,
    ...problemsOf(code, details).map((problem) => `  ${inert(formatProblem(problem))}`),
    ...further.map((cause) => `  because: ${inert(cause)}`),
  ];
  return [...lines, ...(typeof remedy === "string" ? [`  ${pc.dim(remedy)}`] : [])].join("\n");
}

interface Placed {
  readonly place?: ErrorReport["place"] | undefined;
  readonly details?: ErrorReport["details"] | undefined;
}

/** `file:line:column`, in a file that has no lines `file@offset`, and a space; empty where there is none. */
export function placeText({ place, details }: Placed): string {
  const offset = details?.offset === undefined ? "" : `@${details.offset}`;
  const line = place?.line === undefined ? offset : `:${place.line}:${place.column ?? 1}`;
  return place?.file === undefined ? "" : `${place.file}${line} `;
}

function problemsOf(code: string, details: ErrorReport["details"]): readonly Problem[] {
  // Its message only counts them.
  return code === "GRAPH-INVALID" ? ((details?.problems as readonly Problem[] | undefined) ?? []) : [];
}
