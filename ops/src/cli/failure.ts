/** What a person sees when a command fails, and the exit code of it (see `exit-codes` in the documentation). */
import type { ErrorReport, Problem } from "@millrace/engine";
import { errorEntry, formatProblem, MillraceError, reportOf } from "@millrace/engine/worker";
import pc from "picocolors";

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

/** `place CODE message`, the problems of graph files, the causes, and what to do. The place in a file that has no lines is `file@offset`. */
export function failureText({ code, message, place, details, causes = [] }: ErrorReport): string {
  const offset = details?.offset === undefined ? "" : `@${details.offset}`;
  const line = place?.line === undefined ? offset : `:${place.line}:${place.column ?? 1}`;
  const where = place?.file === undefined ? "" : `${place.file}${line} `;
  // The server's codes are known to the server, and it says what to do.
  const remedy = errorEntry(code)?.remedy ?? details?.remedy;
  const further = causes.filter((cause) => !message.includes(cause));
  const lines = [
    `${where}${pc.red(code)} ${message}`,
    ...problemsOf(code, details).map((problem) => `  ${formatProblem(problem)}`),
    ...further.map((cause) => `  because: ${cause}`),
  ];
  return [...lines, ...(typeof remedy === "string" ? [`  ${pc.dim(remedy)}`] : [])].join("\n");
}

function problemsOf(code: string, details: ErrorReport["details"]): readonly Problem[] {
  // Its message only counts them.
  return code === "GRAPH-INVALID" ? ((details?.problems as readonly Problem[] | undefined) ?? []) : [];
}
