import { type GraphStatus, messageOf } from "@millrace/engine";
import { type WitnessFlags, witnessOptions } from "../../audit/witness-options.ts";
import type { PayloadReport } from "../../host/host-payloads.ts";
import { whenFinished } from "../../host/when-finished.ts";
import { EXIT } from "../failure.ts";
import { grouped, writeJson, writeLine } from "../output.ts";
import { type PayloadFlags, payloadMemory } from "../payload-flags.ts";
import { openSession, type Session } from "../session.ts";
import { shellWord } from "../shell-word.ts";
import { onInterruption } from "../signals.ts";

export interface RunOptions extends WitnessFlags, PayloadFlags {
  readonly data: string;
  readonly log?: string;
  readonly untilDone?: boolean;
  readonly port?: number;
  readonly speed?: number;
  readonly edges?: string;
  readonly nodes?: readonly string[];
  readonly json?: boolean;
}

/** The last line of stdout with `--json`. Counts are those of this run; a run that was continued counts from there. */
interface Summary {
  readonly graph: string;
  readonly revision: number;
  readonly messagesIn: number;
  /** Delivered by sinks; a message that two sinks deliver counts twice. */
  readonly messagesOut: number;
  /** Taken by nodes on purpose without an output: filtered out, or folded into a window. */
  readonly consumed: number;
  readonly deadLettered: number;
  readonly dropped: number;
  readonly durationMs: number;
  /** Log position after the newest step. */
  readonly position: number;
  /** How large values were handed over; absent where no message had any. */
  readonly payloads?: PayloadReport;
}

const PORT = 8080;
const MIB = 1024 * 1024;

export async function run(file: string, options: RunOptions): Promise<void> {
  const { data, log, untilDone = false, speed, edges, nodes, json = false } = options;
  const port = options.port ?? (untilDone ? undefined : PORT);
  const interruption = onInterruption();
  const session = await openSession({
    files: [file],
    data,
    untilDone,
    ...(log === undefined ? {} : { log }),
    ...(port === undefined ? {} : { port }),
    ...(speed === undefined ? {} : { speed }),
    ...(edges === undefined ? {} : { edges }),
    ...(nodes === undefined ? {} : { nodes }),
    witnesses: witnessOptions(options),
    payloads: payloadMemory(options),
  });
  const started = performance.now();
  announce(session, json);
  try {
    const interrupted = interruption.signal.then(() => "interrupted" as const);
    const outcome = await Promise.race([interrupted, ...(untilDone ? [whenDone(session)] : [])]);
    const summary = summaryOf(session, performance.now() - started);
    await session.close(outcome === "interrupted" ? "interrupted" : "done");
    if (outcome === "interrupted") process.exitCode = EXIT.interrupted;
    if (json) writeJson(summary);
    else writeSummary(summary, outcome, data);
  } catch (thrown) {
    await session.close(messageOf(thrown));
    throw thrown;
  } finally {
    interruption.release();
  }
}

function announce({ url, graphs }: Session, json: boolean): void {
  if (url === undefined) return;
  const graph = graphs[0]?.model.name;
  if (json) writeJson({ graph, url });
  else writeLine(`${graph} runs at ${url}`);
}

/** Resolves when everything is drained and projections show it. @throws HOST-PARKED, NODE-FENCED */
async function whenDone({ opened, graphs }: Session): Promise<"done"> {
  const name = graphs[0]?.model.name ?? "";
  const running = opened.host.running(name);
  await whenFinished(running);
  await running.stream.settled();
  await opened.projections.reached(opened.log.durableEnd);
  return "done";
}

function summaryOf({ opened, graphs, payloads }: Session, elapsedMs: number): Summary {
  const status = opened.host.status(graphs[0]?.model.name ?? "") as GraphStatus;
  const { graph, revision, messagesIn, messagesOut, deadLettered, dropped, position } = status;
  // What a sink consumed it delivered: that is out.
  const consumed = status.nodes.reduce((sum, node) => sum + (node.kind === "sink" ? 0 : node.consumed), 0);
  return {
    graph,
    revision,
    messagesIn,
    messagesOut,
    consumed,
    deadLettered,
    dropped,
    durationMs: Math.round(elapsedMs),
    position,
    ...withReport(payloads.report()),
  };
}

function withReport(payloads: PayloadReport | undefined): { readonly payloads?: PayloadReport } {
  return payloads === undefined ? {} : { payloads };
}

function payloadLine({ puts, putBytes, opens, copies, liveBytesMax, memory }: PayloadReport): string {
  const mib = (bytes: number): string => `${(bytes / MIB).toFixed(1)} MiB`;
  const how = memory === null ? "" : ` (${memory})`;
  return `payloads${how}: ${puts} put, ${mib(putBytes)}; ${opens} opened, ${copies} by copying; at most ${mib(liveBytesMax)} in memory`;
}

function writeSummary(s: Summary, outcome: "done" | "interrupted", data: string): void {
  writeLine(`${s.graph} revision ${s.revision}: ${outcome} after ${(s.durationMs / 1000).toFixed(1)} s`);
  writeLine(
    `${grouped(s.messagesIn)} in, ${grouped(s.messagesOut)} out, ${grouped(s.consumed)} filtered or folded, ${grouped(s.deadLettered)} dead-lettered, ${grouped(s.dropped)} dropped; log at ${grouped(s.position)}`,
  );
  if (s.deadLettered > 0) writeLine(`Why they are dead letters: millrace dlq ls --data ${shellWord(data)}`);
  if (s.payloads !== undefined) writeLine(payloadLine(s.payloads));
}
