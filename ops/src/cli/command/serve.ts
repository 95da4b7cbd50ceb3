import { existsSync, readdirSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { MillraceError } from "@millrace/engine";
import { type AddonState, addonState } from "@millrace/native";
import { type WitnessFlags, witnessOptions } from "../../audit/witness-options.ts";
import { opsError } from "../../errors.ts";
import { VERSION } from "../../version.ts";
import { EXIT } from "../failure.ts";
import { writeJson, writeLine } from "../output.ts";
import { type PayloadFlags, payloadMemory } from "../payload-flags.ts";
import { openSession, type Session, type SessionOptions } from "../session.ts";
import { onInterruption } from "../signals.ts";

export interface ServeOptions extends WitnessFlags, PayloadFlags {
  readonly data?: string;
  readonly log?: string;
  readonly port: number;
  /** Absent or 0: not served. */
  readonly eventstorePort?: number;
  readonly eventstoreCert?: string;
  readonly eventstoreKey?: string;
  readonly speed?: number;
  readonly edges?: string;
  readonly json?: boolean;
}

const DATA = "./.millrace";
const DEMO_DATA = join(DATA, "demo");
/** Six hours of event time per second: a day passes in four seconds, the half year of the flights in twelve minutes. */
const DEMO_SPEED = 6 * 3600;
const DEMO_FOLDERS = ["flights", "host-telemetry"];
/** The one that comes to an end. */
const DEMO_REPLAYED = "late-flights";

/** What refuses a graph file that is not the one which the data directory was written by. */
const CHANGED: ReadonlySet<string> = new Set(["HOST-REVISION", "HOST-FILE", "SINK-OCCUPIED"]);

export async function serve(files: readonly string[], options: ServeOptions): Promise<void> {
  const interruption = onInterruption();
  const session = files.length === 0 ? await openDemo(options) : await openSession(sessionOptions(files, options));
  announce(session, options);
  const signal = await interruption.signal;
  if (options.json !== true) writeLine("Stopping …");
  await session.close(signal);
  interruption.release();
  // SIGTERM is how supervisors of processes end what did nothing wrong.
  process.exitCode = signal === "SIGTERM" ? EXIT.ok : EXIT.interrupted;
}

function sessionOptions(files: readonly string[], options: ServeOptions): SessionOptions {
  const { data = DATA, log, port, speed, edges } = options;
  const choices = {
    ...(log === undefined ? {} : { log }),
    ...(speed === undefined ? {} : { speed }),
    ...(edges === undefined ? {} : { edges }),
  };
  const witnesses = witnessOptions(options);
  return {
    files,
    data,
    port,
    untilDone: false,
    payloads: payloadMemory(options),
    witnesses,
    ...choices,
    ...eventStoreOf(options),
  };
}

function eventStoreOf(options: ServeOptions): Pick<SessionOptions, "eventStore"> {
  const { eventstorePort: port, eventstoreCert: cert, eventstoreKey: key } = options;
  if (port === undefined || port === 0) {
    if (cert === undefined && key === undefined) return {};
    throw opsError(
      "CLI-USAGE",
      "--eventstore-cert and --eventstore-key are for --eventstore-port, which is not served",
    );
  }
  return { eventStore: { port, ...(cert === undefined ? {} : { cert }), ...(key === undefined ? {} : { key }) } };
}

/**
 * The demo goes on where it was left. When it has been played to its end, or its files have changed since, it begins again in
 * a directory beside the old one.
 */
async function openDemo(served: ServeOptions): Promise<Session> {
  const { data = DEMO_DATA, log, port, speed = DEMO_SPEED } = served;
  if (log !== undefined) throw opsError("CLI-USAGE", "the demo keeps its log in its data directory; name a graph file");
  const files = DEMO_FOLDERS.map((name) => join(examples(), name, "graph.yaml"));
  const options = {
    files,
    port,
    speed,
    untilDone: false,
    payloads: payloadMemory(served),
    witnesses: witnessOptions(served),
    ...eventStoreOf(served),
  };
  const newest = newestOf(data);
  try {
    const session = await openSession({ ...options, data: newest });
    if (!isPlayed(session)) return session;
    await session.close("the demo begins again");
  } catch (thrown) {
    if (!(thrown instanceof MillraceError && CHANGED.has(thrown.code))) throw thrown;
  }
  return openSession({ ...options, data: nextOf(data, newest) });
}

function examples(): string {
  // From dist/cli/command or src/cli/command to the workspace.
  return join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..", "examples");
}

/** `demo`, `demo-2`, `demo-3` …: the last that exists. */
function newestOf(data: string): string {
  const parent = dirname(resolve(data));
  const base = resolve(data);
  const numbers = existsSync(parent) ? readdirSync(parent).map((name) => numberOf(join(parent, name), base)) : [];
  const last = Math.max(1, ...numbers);
  return last === 1 ? data : `${data}-${last}`;
}

function nextOf(data: string, newest: string): string {
  return `${data}-${numberOf(resolve(newest), resolve(data)) + 1}`;
}

function numberOf(path: string, base: string): number {
  if (path === base) return 1;
  const digits = path.startsWith(`${base}-`) ? path.slice(base.length + 1) : "";
  return /^\d{1,6}$/.test(digits) ? Number(digits) : 0;
}

/** True if the replayed graph had nothing left to read as it was opened. */
function isPlayed({ opened }: Session): boolean {
  return opened.host.wasFinished(DEMO_REPLAYED);
}

function announce({ url, eventStore, graphs, data, opened }: Session, { json = false }: ServeOptions): void {
  const directory = relative(process.cwd(), data.directory.root) || ".";
  const native = addonState();
  if (json) {
    const names = opened.host.list().map(({ graph }) => graph);
    writeJson({
      url,
      ...(eventStore === undefined ? {} : { eventStore }),
      version: VERSION,
      data: directory,
      native,
      graphs: names,
    });
    return;
  }
  writeLine(`Millrace ${VERSION}, data in ${directory}`);
  for (const { model } of graphs)
    writeLine(`  ${model.name.padEnd(16)} ${model.description.split("\n")[0] ?? ""}`.trimEnd());
  writeLine(nativeLine(native));
  writeLine(`Console: ${url}`);
  if (eventStore !== undefined) writeLine(`EventStoreDB clients: ${eventStore}`);
}

function nativeLine(native: AddonState): string {
  return native.inUse ? "Native addon in use" : `Native addon not in use, TypeScript does its work: ${native.reason}`;
}
