/** The past of a node: its state at a moment, the difference between two, and who changed what. */
import type { Json, JsonObject } from "@millrace/engine";
import { fieldOf } from "@millrace/engine/worker";
import type { EventDocument, NodeState, NodeStateDiff, RowChange, StateChange } from "@millrace/gateway";
import { opsError } from "../../errors.ts";
import { graphStreamOf } from "../../host/graph-stream.ts";
import { type Api, type ApiOptions, withApi } from "../api.ts";
import { EXIT } from "../failure.ts";
import { refuse, refuseUnknown } from "../known-names.ts";
import { type Cell, counted, timeText, writeJson, writeLine, writeTable } from "../output.ts";
import { inert } from "../terminal-text.ts";

interface TimeOptions extends ApiOptions {
  readonly limit: number;
  readonly json?: boolean;
}

export async function showState(address: string, options: TimeOptions & { readonly at?: string }): Promise<void> {
  const { at, limit, json = false } = options;
  await withApi(options, async (api) => {
    const answer = await api.get(`${nodePath(address)}/state`, { at, limit });
    if (json) return writeJson(answer);
    const state = answer as unknown as NodeState;
    writeState(state);
    if (state.rows.length > 0) writeRows(state.rows);
    const shown = state.rows.length < state.rowCount ? ` (${state.rows.length} shown; --limit)` : "";
    writeLine(`${counted(state.rowCount, "row")}${shown}, as of position ${state.asOf}`);
  });
}

/** Ends with 1 where there is a difference, as diff does. */
export async function diffState(
  address: string,
  options: TimeOptions & { readonly from: string; readonly to?: string },
): Promise<void> {
  const { from, to, limit, json = false } = options;
  await withApi(options, async (api) => {
    const answer = await api.get(`${nodePath(address)}/state/diff`, { from, to, limit });
    const diff = answer as unknown as NodeStateDiff;
    if (diff.from.revision !== diff.to.revision) process.exitCode = EXIT.findings;
    if (json) return writeJson(answer);
    const fields = headDiff(diff);
    if (fields.length > 0) writeTable(["", "before", "after"], fields);
    if (diff.changes.length > 0) writeTable(["row", "field", "before", "after"], diff.changes.flatMap(fieldChanges));
    const { added, removed, changed } = diff;
    const shown = diff.changes.length < added + removed + changed ? ` (${diff.changes.length} shown; --limit)` : "";
    const extent = `from position ${diff.from.asOf} to ${diff.to.asOf}`;
    writeLine(`${counted(added, "row")} added, ${removed} removed, ${changed} changed${shown}, ${extent}`);
  });
}

/** Which events of a stream changed something: all of them, or those that changed a field. */
export async function whodunit(stream: string, field: string | undefined, options: TimeOptions): Promise<void> {
  await withApi(options, async (api) => {
    if (field === undefined || stream.startsWith(GRAPH_STREAMS)) return eventsOf(api, stream, field, options);
    const answer = await api.get(`${nodePath(stream)}/state/changes`, { field, limit: options.limit });
    const { changes, total, from, asOf, fields } = answer as unknown as Changes;
    // Where no row ever was, nobody can say what its fields would be called.
    if (total === 0 && fields.length > 0) await refuse(`${stream} has no field`, field, new Set(fields));
    if (options.json === true) return writeJson(answer);
    const rows = changes.map((c) => [
      c.position,
      timeText(c.timeMs),
      keyText(c.key),
      text(c.before),
      text(c.after),
      `${c.principal}, revision ${c.graphRevision}`,
      c.why,
    ]);
    writeTable(["position", "time", "row", "before", "after", "by", "why"], rows);
    const since = from === 0 ? "" : `; what changed it before position ${from} was pruned`;
    const rowless = fields.length === 0 ? "; the state has had no rows" : "";
    writeLine(
      `${changes.length} of ${total} changes of ${field}, newest last, as of position ${asOf}${since}${rowless}`,
    );
  });
}

interface Changes {
  readonly from: number;
  readonly asOf: number;
  readonly changes: readonly StateChange[];
  readonly total: number;
  readonly fields: readonly string[];
}

const GRAPH_STREAMS = graphStreamOf("");

interface EventChange {
  readonly position: number;
  readonly timeMs: number;
  readonly type: string;
  readonly principal: string;
  readonly why: string;
  readonly before?: Json;
  readonly after?: Json;
}

/**
 * Events of any stream with who and why; with a field, those whose payload gives it another value than the one before. Read from the end:
 * the beginning of the stream may have been pruned.
 */
async function eventsOf(api: Api, stream: string, field: string | undefined, options: TimeOptions): Promise<void> {
  const newest: EventChange[] = [];
  let total = 0;
  const add = (change: EventChange): void => {
    total += 1;
    if (newest.length < options.limit) newest.push(change);
  };
  const fields = new Set<string>();
  /** The oldest event so far that has the field: it is a change if the one before it says something else. */
  let later: (EventChange & { readonly after: Json }) | undefined;
  let [begin, asOf] = [0, 0];
  for await (const page of backward(api, stream, field === undefined ? "brief" : "full")) {
    begin = page.begin;
    asOf ||= page.end;
    for (const event of page.events) {
      const { position, timeMs, type, principal } = event;
      const payload = event.payload as JsonObject | null;
      const change = { position, timeMs, type, principal, why: String(payload?.reason ?? "") };
      if (field === undefined) add(change);
      else {
        for (const name of Object.keys(payload ?? {})) fields.add(name);
        const value = fieldOf(payload, field);
        if (value === undefined) continue;
        if (later !== undefined && !isSame(later.after, value)) add({ ...later, before: value });
        later = { ...change, after: value };
      }
    }
  }
  if (later !== undefined && !isSame(later.after, null)) add({ ...later, before: null });
  const changes = newest.reverse();
  if (total === 0) await refuseUnknown(api, { stream });
  if (total === 0 && field !== undefined) await refuse(`no event of ${stream} has a field`, field, fields);
  if (options.json === true) return writeJson({ from: begin, asOf, changes, total });
  const values = (change: EventChange): Cell[] =>
    field === undefined ? [] : [text(change.before ?? null), text(change.after ?? null)];
  const rows = changes.map((c) => [c.position, timeText(c.timeMs), c.type, ...values(c), c.principal, c.why]);
  writeTable(["position", "time", "type", ...(field === undefined ? [] : ["before", "after"]), "by", "why"], rows);
  const what = field === undefined ? `events of ${stream}` : `changes of ${field}`;
  writeLine(`${changes.length} of ${total} ${what}, newest last, as of position ${asOf}${prunedText(begin)}`);
}

const isSame = (one: Json, other: Json): boolean => JSON.stringify(one) === JSON.stringify(other);

function prunedText(begin: number): string {
  return begin === 0 ? "" : `; what was before position ${begin} was pruned`;
}

async function* backward(api: Api, stream: string, payload: string): AsyncGenerator<EventPage> {
  let cursor: string | undefined;
  do {
    const query = { stream, direction: "backward", limit: PAGE_MAX, payload, cursor };
    const page = (await api.get("/api/v1/events", query)) as unknown as EventPage;
    yield page;
    cursor = page.next ?? undefined;
  } while (cursor !== undefined);
}

const PAGE_MAX = 1000;

interface EventPage {
  /** The first position that can be read. */
  readonly begin: number;
  readonly end: number;
  readonly events: readonly EventDocument[];
  readonly next: string | null;
}

/** @throws CLI-USAGE it is not `graph/node` */
function nodePath(address: string): string {
  const slash = address.lastIndexOf("/");
  if (slash < 1 || slash === address.length - 1) throw opsError("CLI-USAGE", `${address}: expected <graph>/<node>`);
  const [graph, node] = [address.slice(0, slash), address.slice(slash + 1)].map(encodeURIComponent);
  return `/api/v1/graphs/${graph}/nodes/${node}`;
}

function writeState(state: NodeState): void {
  const lines = Object.entries(headOf(state));
  const width = Math.max(...lines.map(([name]) => name.length)) + 2;
  for (const [name, value] of lines) writeLine(inert(`${name.padEnd(width)}${value ?? "–"}`));
  writeLine();
}

/** Everything about a node but its rows, as lines. */
function headOf(state: Omit<NodeState, "rows">): Readonly<Record<string, Cell>> {
  const time = (ms: number | null): Cell => (ms === null ? null : timeText(ms));
  return {
    node: `${state.graph}/${state.node} (${state.kind})`,
    "graph revision": state.graphRevision,
    revision: state.revision,
    epoch: state.epoch,
    steps: state.steps,
    "step time": time(state.stepTimeMs),
    watermark: time(state.watermarkMs),
    ...Object.fromEntries(
      state.lanes.map(({ lane, pos, idle }) => [`lane ${lane}`, `at ${pos}${idle ? ", idle" : ""}`]),
    ),
    ...Object.fromEntries(Object.entries(state.sent).map(([port, count]) => [`sent on ${port}`, count])),
  };
}

function headDiff({ from, to }: NodeStateDiff): Cell[][] {
  const [before, after] = [headOf(from), headOf(to)];
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return names.filter((name) => before[name] !== after[name]).map((name) => [name, before[name], after[name]]);
}

function fieldChanges({ key, before, after }: RowChange): Cell[][] {
  const fields = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])].filter(
    (field) => !Object.hasOwn(key, field),
  );
  const values = fields.map((field) => [field, fieldOf(before, field), fieldOf(after, field)] as const);
  const changed = values.filter(([, was, is]) => JSON.stringify(was) !== JSON.stringify(is));
  return changed.map(([field, was, is]) => [keyText(key), field, text(was ?? null), text(is ?? null)]);
}

function writeRows(rows: readonly JsonObject[]): void {
  const head = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  writeTable(
    head,
    rows.map((row) => head.map((field) => cell(fieldOf(row, field)))),
  );
}

function keyText(key: JsonObject): string {
  return Object.values(key).map(text).join(" ");
}

function cell(value: Json | undefined): Cell {
  return typeof value === "object" && value !== null ? JSON.stringify(value) : value;
}

function text(value: Json): string {
  return value === null ? "–" : typeof value === "object" ? JSON.stringify(value) : String(value);
}
