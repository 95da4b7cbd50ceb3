/** Checks what sources read, sinks write, tables hold and calculators run: addresses, formats, capabilities, files. */
import { didYouMean, nearest } from "../expression/nearest.ts";
import { checkBrokerSink, checkBrokerSource, isBroker } from "./broker-check.ts";
import { checkCloudEvents } from "./cloudevents-check.ts";
import { type CronRules, checkCron } from "./cron-check.ts";
import { checkCsv } from "./csv-check.ts";
import type { DraftNode } from "./draft.ts";
import { parseDuration } from "./duration.ts";
import { forbidIdle } from "./event-time.ts";
import { checkGrpc } from "./grpc-check.ts";
import {
  checkHttpSource,
  checkPushSource,
  checkSocketSink,
  checkWebhookSink,
  forbidHttp,
  httpKindOf,
} from "./http-check.ts";
import { checkJms } from "./jms-check.ts";
import type { Path, ProblemList } from "./problem.ts";
import { checkRegistry } from "./registry-check.ts";
import { checkRest } from "./rest-check.ts";
import {
  extensionOf,
  HOST_PROJECTIONS,
  parseTarget,
  plainPath,
  SINK_SCHEMES,
  SOURCE_FORMATS,
  SOURCE_SCHEMES,
  TABLE_SCHEMES,
  type Target,
} from "./target.ts";

/** What the caller knows about the place where the graph is to run. What is absent is not checked. */
export interface Surroundings extends CronRules {
  /** Whether a file exists; `path` is as written in the graph, relative to the graph file. */
  readonly fileExists?: ((path: string) => boolean) | undefined;
  /** Names of installed calculators. */
  readonly calculators?: Iterable<string> | undefined;
}

export function checkConnectors(node: DraftNode, around: Surroundings, problems: ProblemList): void {
  checkMode(node, problems);
  switch (node.kind) {
    case "source":
      checkSource(node, around, problems);
      break;
    case "sink":
      checkSink(node, around, problems);
      break;
    case "enrich":
      checkTable(node, around, problems);
      break;
    case "calculator":
      checkCalculator(node, around, problems);
      break;
    case "map":
      checkMap(node, problems);
      break;
    default:
      break;
  }
}

/** Its last result is kept for a node that logs none. */
function checkMode(node: DraftNode, problems: ProblemList): void {
  const isService = isServiceAddress(node.text("use") ?? "");
  const logsItself =
    (node.kind === "calculator" && (isService || !node.flag("pure"))) ||
    (node.kind === "enrich" && parseTarget(node.text("table") ?? "")?.scheme === "projection");
  if (!node.isInStateMode || !logsItself) return;
  const what = node.kind === "enrich" ? "an enrich from a file" : "a calculator that is `pure: true` and no service";
  problems.add("GRAPH-CAP", ["nodes", node.name, "mode"], `\`mode: state\` needs ${what}`, "key");
}

function targetOf(node: DraftNode, key: string, schemes: readonly string[], problems: ProblemList): Target | undefined {
  const uri = node.text(key);
  if (uri === undefined || uri === "") return undefined;
  const target = parseTarget(uri);
  const path = ["nodes", node.name, key];
  if (target === undefined)
    problems.add("GRAPH-SCHEMA", path, `\`${uri}\` has no scheme; for a file write \`file:${uri}\``);
  else if (schemes.includes(target.scheme)) return target;
  else problems.add("GRAPH-SCHEMA", path, unknownScheme(target.scheme, schemes));
  return undefined;
}

function unknownScheme(scheme: string, schemes: readonly string[]): string {
  const guess = nearest(scheme, schemes);
  const hint =
    guess === undefined ? `; known are ${schemes.map((s) => `${s}:`).join(", ")}` : `; did you mean \`${guess}:\`?`;
  return `unknown scheme \`${scheme}:\`${hint}`;
}

function checkSource(node: DraftNode, around: Surroundings, problems: ProblemList): void {
  const target = targetOf(node, "from", SOURCE_SCHEMES, problems);
  if (target === undefined) return;
  checkPersonal(node, target, problems);
  checkCloudEvents(node, target, problems);
  checkCsv(node, target, problems);
  const web = httpKindOf(target);
  const isPush = target.scheme === "http" && web === undefined;
  if (web === undefined) forbidHttp(node, problems);
  checkRegistry(node, target, around.fileExists, problems);
  checkGrpc(node, target.scheme, around.fileExists, problems);
  checkJms(node, target, around.fileExists, problems);
  if (target.scheme === "file") checkFileSource(node, target.address, around, problems);
  else if (isBroker(target.scheme)) checkBrokerSource(node, target, problems);
  else if (web !== undefined) checkHttpSource(node, target, web, around, problems);
  else if (isPush) checkPushSource(node, target, problems);
  else checkOwnSource(node, target, around, problems);
  checkSecret(node, isPush, problems);
}

/** A source whose messages Millrace itself makes. */
function checkOwnSource(
  node: DraftNode,
  { scheme, address }: Target,
  around: Surroundings,
  problems: ProblemList,
): void {
  const path = ["nodes", node.name, "from"];
  forbid(node, ["speed", "follow"], `a ${scheme}: source has no past to read; only file: has`, problems);
  forbid(
    node,
    ["watermark", "idle"],
    `a ${scheme}: source tells times in order, so nothing is to be waited for`,
    problems,
  );
  if (scheme === "metronome") checkPeriod(address, path, problems);
  if (scheme === "cron") checkCron(address, path, around, problems);
}

function forbid(node: DraftNode, keys: readonly string[], why: string, problems: ProblemList): void {
  for (const key of keys)
    if (node.has(key)) problems.add("GRAPH-CAP", ["nodes", node.name, key], `\`${key}\`: ${why}`, "key");
}

/** A secret as plain text would be in the log with the graph. */
function checkSecret(node: DraftNode, isHttp: boolean, problems: ProblemList): void {
  if (!isHttp) forbid(node, ["secret"], "only HTTP requests are signed", problems);
  else if (node.has("secret") && !/^\s*(?:\$\{(?:env|file):[^}]+\}\s*)+$/.test(node.text("secret") ?? ""))
    problems.add(
      "GRAPH-SCHEMA",
      ["nodes", node.name, "secret"],
      "expected a reference, env:NAME or file:PATH in braces after a dollar sign, and no text",
    );
}

function checkFileSource(node: DraftNode, address: string, around: Surroundings, problems: ProblemList): void {
  const format = node.text("format") ?? SOURCE_FORMATS.get(extensionOf(address));
  const from = ["nodes", node.name, "from"];
  forbidIdle(node, problems);
  if (isFolder(address)) {
    problems.add("GRAPH-SCHEMA", from, NO_FILE);
    return;
  }
  if (format === "cloudevents") return;
  if (format === undefined) problems.add("GRAPH-SCHEMA", from, unknownFormat(address, [...SOURCE_FORMATS.keys()]));
  else if (format !== "csv" && format !== "ndjson")
    forbid(node, ["follow"], `a ${format} file is complete when it is written`, problems);
  // What is followed may be created later.
  if (!node.flag("follow")) checkFile(address, from, around, problems);
}

const NO_FILE = "this names a folder, and no file in it; write its path, as in file:./orders.csv";

/** By how it is written: empty, or with nothing after the last slash. */
function isFolder(address: string): boolean {
  return /(?:^|\/)\.{0,2}$/.test(address);
}

/** Relative addresses of sinks lie in the data directory: two of those must not write one file. */
function checkSinkFile(address: string, path: Path, problems: ProblemList): void {
  if (isFolder(address)) problems.add("GRAPH-SCHEMA", path, NO_FILE);
  else if (!address.includes("${") && plainPath(address).startsWith("../"))
    problems.add(
      "GRAPH-SCHEMA",
      path,
      `\`${address}\` leaves the output folder; name a file below it, or an absolute path`,
    );
}

function unknownFormat(address: string, known: readonly string[]): string {
  const extension = extensionOf(address);
  const guess = extension === "" ? undefined : nearest(extension, known);
  return `the format of \`${address}\` is not known by its name; ${guess === undefined ? "set `format`" : `did you mean .${guess}? Else set \`format\``}`;
}

function checkFile(address: string, path: Path, { fileExists }: Surroundings, problems: ProblemList): void {
  if (fileExists === undefined || address.includes("${") || fileExists(address)) return;
  problems.add("GRAPH-FILE", path, `there is no file \`${address}\``);
}

function checkPeriod(address: string, path: Path, problems: ProblemList): void {
  const period = parseDuration(address);
  if ("fault" in period)
    problems.add("GRAPH-TIME", path, `\`${address}\`: ${period.fault}`, { index: "metronome:".length + period.at });
}

const SINK_FORMATS = ["ndjson", "jsonl", "csv", "tsv", "json"];

function checkSink(node: DraftNode, around: Surroundings, problems: ProblemList): void {
  const target = targetOf(node, "to", SINK_SCHEMES, problems);
  if (target === undefined) return;
  const { scheme, address } = target;
  const path = ["nodes", node.name, "to"];
  if (scheme === "projection") checkProjectionName(address, path, problems);
  if (scheme !== "file") forbid(node, ["replace"], "only the content of a file can be replaced", problems);
  if (scheme === "file") checkSinkFile(address, path, problems);
  if (
    scheme === "file" &&
    !isFolder(address) &&
    node.text("format") === undefined &&
    !SINK_FORMATS.includes(extensionOf(address))
  ) {
    problems.add("GRAPH-SCHEMA", path, unknownFormat(address, SINK_FORMATS));
  }
  checkBrokerSink(node, target, problems);
  checkCloudEvents(node, target, problems);
  checkCsv(node, target, problems);
  if (scheme === "ws" || scheme === "wss") checkSocketSink(node, target, problems);
  else if (scheme === "http" || scheme === "https") checkWebhookSink(node, target, problems);
  else forbidHttp(node, problems);
  checkRegistry(node, target, around.fileExists, problems);
  checkGrpc(node, scheme, around.fileExists, problems);
  checkJms(node, target, around.fileExists, problems);
  if (KEPT_SINKS.includes(scheme))
    forbid(node, ["reveal"], `what a ${scheme}: sink takes does not leave, and stays sealed`, problems);
  checkSecret(node, scheme === "http" || scheme === "https", problems);
}

const PROJECTION_NAME = /^[a-z][a-z0-9_-]{0,99}$/;

function checkProjectionName(name: string, path: Path, problems: ProblemList): void {
  if (HOST_PROJECTIONS.has(name))
    problems.add("GRAPH-SCHEMA", path, `\`${name}\` is a projection of the host itself; give it another name`);
  else if (!PROJECTION_NAME.test(name)) {
    const rule = "it begins with a lower-case letter; lower-case letters, digits, - and _ follow, 100 at most";
    problems.add("GRAPH-SCHEMA", path, `\`${name}\` is no name of a projection: ${rule}`);
  }
}

const KEPT_SINKS = ["projection", "discard"];
/** Sources whose messages Millrace itself makes. */
const OWN_SOURCES = ["metronome", "cron", "telemetry"];

function checkPersonal(node: DraftNode, { scheme }: Target, problems: ProblemList): void {
  if (OWN_SOURCES.includes(scheme)) forbid(node, ["personal"], `a ${scheme}: source has no personal data`, problems);
  for (const [i, field] of node.personalFields.entries()) {
    const path = ["nodes", node.name, "personal", "fields", i];
    if (field === node.text("time"))
      problems.add("GRAPH-CAP", path, `\`${field}\` is the event time, which must be readable`);
    if (node.texts("payload").some(([name]) => name === field))
      problems.add("GRAPH-CAP", path, `\`${field}\` is a payload, which cannot be sealed`);
  }
}

function checkTable(node: DraftNode, around: Surroundings, problems: ProblemList): void {
  const target = targetOf(node, "table", TABLE_SCHEMES, problems);
  if (target === undefined) return;
  checkCsv(node, target, problems);
  if (target.scheme !== "file") return;
  const path = ["nodes", node.name, "table"];
  if (SOURCE_FORMATS.has(extensionOf(target.address))) checkFile(target.address, path, around, problems);
  else problems.add("GRAPH-SCHEMA", path, `the format of \`${target.address}\` is not known by its name`);
}

/** A path rather than the name of something installed. */
export function isModulePath(use: string): boolean {
  return /^\.{0,2}\//.test(use) || /\.(?:[cm]?[jt]s|py|jar|java|so|wasm)$/.test(use);
}

/** A service over HTTP rather than a file. */
export function isServiceAddress(use: string): boolean {
  return /^https?:/i.test(use);
}

function checkCalculator(node: DraftNode, around: Surroundings, problems: ProblemList): void {
  const use = node.text("use");
  if (use === undefined || use === "") return;
  if (isServiceAddress(use)) {
    checkRest(node, use, problems);
    return;
  }
  if (node.has("rest"))
    problems.add("GRAPH-SCHEMA", ["nodes", node.name, "rest"], "`rest` is for services: `use: https://…`", "key");
  const path = ["nodes", node.name, "use"];
  checkIsolation(node, use, problems);
  if (isModulePath(use) && !RUNNABLE.test(use)) problems.add("GRAPH-CALC", path, notRunnable(use));
  else if (isModulePath(use)) checkFile(use, path, around, problems);
  else if (around.calculators !== undefined) checkInstalled(use, [...around.calculators], path, problems);
}

const RUNNABLE = /\.(?:m?[jt]s|py|jar|java|so|wasm)$/;

function notRunnable(use: string): string {
  return `nothing runs \`${use}\`: a calculator is a file .ts, .mts, .js, .mjs, .py, .java, .jar, .so or .wasm`;
}

/** Languages that run in processes of their own. */
const PROCESS_ONLY = /\.(?:py|jar|java)$/;
/** Compiled code, whose faults are those of the process that it runs in. */
const LIBRARY = /\.so$/;
const WASM = /\.wasm$/;
const SCRIPT = /\.m?[jt]s$/;

function checkIsolation(node: DraftNode, use: string, problems: ProblemList): void {
  const isolation = node.text("isolation");
  const isPure = node.flag("pure");
  const path = (key: string): Path => ["nodes", node.name, key];
  const isProcess =
    PROCESS_ONLY.test(use) || isolation === "process" || (LIBRARY.test(use) && isolation === undefined && !isPure);
  if (PROCESS_ONLY.test(use) && isolation !== undefined && isolation !== "process")
    problems.add("GRAPH-SCHEMA", path("isolation"), `\`${use}\` can only run in a process of its own`, "key");
  if (isPure && (isProcess || isolation === "thread"))
    problems.add("GRAPH-SCHEMA", path("pure"), "a pure calculator runs inline; what runs elsewhere is logged", "key");
  if (isPure && node.has("limits"))
    problems.add("GRAPH-SCHEMA", path("limits"), "a pure calculator runs inline, where nothing limits it", "key");
  if (!isProcess && node.has("interpreter"))
    problems.add("GRAPH-SCHEMA", path("interpreter"), "only a process has an interpreter: `isolation: process`", "key");
  if (!isPure && isolation === "inline")
    problems.add("GRAPH-SCHEMA", path("isolation"), "only a calculator that is `pure: true` runs inline", "key");
  checkSandbox(node, use, problems);
  checkCompiled(node, use, problems);
}

/** What has the language and nothing else, and can be ended when it does not end. */
function checkSandbox(node: DraftNode, use: string, problems: ProblemList): void {
  if (!node.flag("sandbox")) return;
  const path: Path = ["nodes", node.name, "sandbox"];
  if (!SCRIPT.test(use))
    problems.add("GRAPH-SCHEMA", path, `a sandbox runs .ts, .mts, .js and .mjs, and not \`${use}\``, "key");
  if (node.flag("pure"))
    problems.add(
      "GRAPH-SCHEMA",
      path,
      "a sandbox is in a thread or process, where a loop can be ended: take `pure` away",
      "key",
    );
}

function checkCompiled(node: DraftNode, use: string, problems: ProblemList): void {
  const isPure = node.flag("pure");
  const path = (key: string): Path => ["nodes", node.name, key];
  if (LIBRARY.test(use) && isPure && node.text("isolation") === undefined) {
    const message =
      "a library runs inline only where the graph says so, because its faults end the host: add `isolation: inline`";
    problems.add("GRAPH-SCHEMA", path("pure"), message, "key");
  }
  if (WASM.test(use) && isPure) {
    const message = "WebAssembly runs in a thread or process, where it can be stopped, and is logged";
    problems.add("GRAPH-SCHEMA", path("pure"), message, "key");
  }
  if ((LIBRARY.test(use) || WASM.test(use)) && node.has("export"))
    problems.add("GRAPH-SCHEMA", path("export"), `\`${use}\` holds one calculator, there is nothing to choose`, "key");
}

function checkInstalled(use: string, installed: readonly string[], path: Path, problems: ProblemList): void {
  if (installed.includes(use)) return;
  const hint = didYouMean(use, installed) || "; for a module write its path, ./name.ts";
  problems.add("GRAPH-CALC", path, `no calculator \`${use}\` is installed${hint}`);
}

function checkMap(node: DraftNode, problems: ProblemList): void {
  const path = ["nodes", node.name];
  const used = ["set", "select", "drop", "value"].filter((key) => node.has(key));
  if (used.length === 0) problems.add("GRAPH-SCHEMA", path, "a map needs `set`, `select`, `drop` or `value`", "key");
  if (used.length > 1 && used.includes("value"))
    problems.add(
      "GRAPH-SCHEMA",
      [...path, "value"],
      "`value` replaces the whole message; it leaves nothing to set, select or drop",
      "key",
    );
  if (used.includes("select") && used.includes("drop"))
    problems.add("GRAPH-SCHEMA", [...path, "drop"], "fields are either selected or dropped", "key");
}

const SHAREABLE = new Set(["stdout", "discard", "http", "https", "ws", "wss"]);

/** Two sinks that write one file, table or topic would overwrite or mix each other's rows. */
export function checkSinkTargets(nodes: ReadonlyMap<string, DraftNode>, problems: ProblemList): void {
  const first = new Map<string, string>();
  for (const node of nodes.values()) {
    const target = node.kind === "sink" ? parseTarget(node.text("to") ?? "") : undefined;
    if (target === undefined || SHAREABLE.has(target.scheme)) continue;
    const key = `${target.scheme}:${target.scheme === "file" ? plainPath(target.address) : target.address}`;
    const other = first.get(key);
    if (other === undefined) first.set(key, node.name);
    else
      problems.add(
        "GRAPH-DUP",
        ["nodes", node.name, "to"],
        `\`${node.text("to")}\` is the target of \`${other}\` already, at ${problems.otherPlace(["nodes", other, "to"])}`,
      );
  }
}
