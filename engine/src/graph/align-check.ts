/** Checks of `align`: whether the inputs of a node can wait for each other in event time, and will not do so for ever. */
import { isJsonObject, type Json, type JsonObject } from "../frame/json.ts";
import { type DraftNode, isCommitted } from "./draft.ts";
import { formatDuration, parseDuration } from "./duration.ts";
import { type DraftEdge, edgeName } from "./edges.ts";
import type { EventTimes } from "./event-time.ts";
import type { ProblemList } from "./problem.ts";

export interface AlignSurroundings {
  readonly definition: Json;
  readonly nodes: ReadonlyMap<string, DraftNode>;
  /** Without feedback. */
  readonly edges: readonly DraftEdge[];
  /** Senders before receivers. */
  readonly order: readonly string[];
  readonly settings: ReadonlyMap<string, JsonObject>;
  readonly times: EventTimes;
}

/** Receivers of each node. */
type Leaving = ReadonlyMap<string, readonly string[]>;

/** To look for receivers of many nodes would take longer than everything else. */
const HINTS_MAX = 100;

export function checkAlign(around: AlignSurroundings, problems: ProblemList): void {
  const aligned = [...around.nodes.values()]
    .filter(({ kind }) => kind !== "source")
    .filter((node) => node.has("align"));
  if (aligned.length === 0) return;
  const leaving = leavingOf(around.edges);
  const lags = lagsInto(around, leaving);
  for (const node of aligned) {
    checkState(node, around.nodes, leaving, problems);
    checkOverflow(node, around, problems);
    checkTime(node, around, problems);
    checkDrift(node, lags.get(node.name) ?? 0, problems);
  }
}

/** Cursors, and so the order in which inputs are taken, belong to nodes that log what they do. */
function checkState(
  node: DraftNode,
  nodes: ReadonlyMap<string, DraftNode>,
  leaving: Leaving,
  problems: ProblemList,
): void {
  if (node.kind === undefined || takesInOrder(node)) return;
  const behind = problems.size < HINTS_MAX ? [...receiversOf(node.name, nodes, leaving)] : [];
  const hint = behind.length === 0 ? "" : `: ${behind.map((name) => `\`${name}\``).join(", ")}`;
  problems.add(
    "GRAPH-SCHEMA",
    ["nodes", node.name, "align"],
    `\`${node.name}\` keeps no state, so its inputs need not wait; set \`align\` where they meet state${hint}`,
    "key",
  );
}

function takesInOrder(node: DraftNode): boolean {
  return node.kind === "sink" || isCommitted(node);
}

function receiversOf(from: string, nodes: ReadonlyMap<string, DraftNode>, leaving: Leaving): ReadonlySet<string> {
  const found = new Set<string>();
  const seen = new Set([from]);
  for (const name of seen) {
    for (const to of leaving.get(name) ?? []) {
      const receiver = nodes.get(to);
      if (receiver !== undefined && takesInOrder(receiver)) found.add(to);
      else seen.add(to);
    }
  }
  return found;
}

function checkOverflow(node: DraftNode, around: AlignSurroundings, problems: ProblemList): void {
  const { defaults } = isJsonObject(around.definition) ? around.definition : { defaults: undefined };
  const ofGraph = isJsonObject(defaults) ? defaults : {};
  const edges = around.edges.filter(({ to }) => to === node.name).map((edge) => around.settings.get(edgeName(edge)));
  const set: (Json | undefined)[] = [node.map("mailbox"), ofGraph.mailbox, ...edges, ofGraph.edge].map((settings) =>
    isJsonObject(settings) ? settings.overflow : undefined,
  );
  const overflow = set.find((one) => one !== undefined) ?? "block";
  if (overflow === "block") return;
  problems.add(
    "GRAPH-SCHEMA",
    ["nodes", node.name, "align"],
    `inputs that are ahead wait in the mailbox, where \`overflow: ${String(overflow)}\` would lose them; use \`block\``,
    "key",
  );
}

function checkTime(node: DraftNode, { times }: AlignSurroundings, problems: ProblemList): void {
  const untimed = times.timingOf(node.name)?.untimed;
  if (untimed === undefined) return;
  const message = `\`${node.name}\` aligns its inputs by event time, but source \`${untimed}\` has no \`time\``;
  problems.add("GRAPH-TIME", ["nodes", node.name, "align"], message, "key");
}

/**
 * A window passes its watermark on late by its length. Where the same source comes to a node through it and past it, a drift that
 * is less would hold the source until the window goes on, which waits for the source.
 */
function checkDrift(node: DraftNode, lagMs: number, problems: ProblemList): void {
  const { maxDrift } = node.map("align");
  const allowed = typeof maxDrift === "string" ? parseDuration(maxDrift) : undefined;
  if (allowed === undefined || !("ms" in allowed) || allowed.ms >= lagMs) return;
  const lag = formatDuration(lagMs);
  problems.add(
    "GRAPH-TIME",
    ["nodes", node.name, "align", "maxDrift"],
    `windows before \`${node.name}\` hold its inputs back by ${lag}, so that with \`maxDrift\` ${maxDrift} they could wait for each other for ever; use ${lag} or more`,
  );
}

/** By node: how far the watermark of one of its inputs may be behind that of its source. */
function lagsInto({ nodes, order }: AlignSurroundings, leaving: Leaving): ReadonlyMap<string, number> {
  const lags = new Map<string, number>();
  for (const name of order) {
    const lag = (lags.get(name) ?? 0) + heldBackMs(nodes.get(name));
    for (const to of leaving.get(name) ?? []) lags.set(to, Math.max(lags.get(to) ?? 0, lag));
  }
  return lags;
}

function leavingOf(edges: readonly DraftEdge[]): Leaving {
  const leaving = new Map<string, string[]>();
  for (const { from, to } of edges) {
    const list = leaving.get(from);
    if (list === undefined) leaving.set(from, [to]);
    else list.push(to);
  }
  return leaving;
}

function heldBackMs(node: DraftNode | undefined): number {
  if (node?.kind !== "window") return 0;
  const { size } = node.map("hopping");
  return msOf(node.text("tumbling") ?? size) + msOf(node.text("lateness"));
}

/** What is no duration is told by the schema. */
function msOf(text: Json | undefined): number {
  const parsed = typeof text === "string" ? parseDuration(text) : undefined;
  return parsed !== undefined && "ms" in parsed ? parsed.ms : 0;
}
