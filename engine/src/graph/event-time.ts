/** Which field holds the event time of a node's messages: windows and paced sources need to know before anything runs. */
import type { DraftNode } from "./draft.ts";
import type { DraftEdge } from "./edges.ts";
import type { ProblemList } from "./problem.ts";
import { parseTarget } from "./target.ts";

/** Sources whose messages are made here carry the time at which they were made. */
const MADE_HERE: ReadonlySet<string | undefined> = new Set(["metronome", "cron", "telemetry"]);
const MADE_AT = "at";

/** Rows of a window belong to the larger window that its start lies in; its end may be the next one's start. */
const WINDOW_TIME = "window_start";

interface Timing {
  /** Fields in which messages have their event time; more than one when inputs differ. */
  readonly fields: ReadonlySet<string>;
  /** A source upstream that gives none. */
  readonly untimed: string | undefined;
}

export class EventTimes {
  /** Of the messages that arrive at a node; of a source, those that it emits. */
  readonly #arriving = new Map<string, Timing>();
  readonly #nodes: ReadonlyMap<string, DraftNode>;

  /** `order` has senders before receivers; nodes that it leaves out stay unknown. */
  constructor(nodes: ReadonlyMap<string, DraftNode>, edges: readonly DraftEdge[], order: readonly string[]) {
    this.#nodes = nodes;
    const senders = new Map<string, string[]>();
    for (const { from, to } of edges) senders.set(to, [...(senders.get(to) ?? []), from]);
    for (const name of order) {
      const node = nodes.get(name);
      if (node?.kind === "source") this.#arriving.set(name, timingOfSource(node));
      else this.#arriving.set(name, merged((senders.get(name) ?? []).map((sender) => this.#leaving(sender))));
    }
  }

  /** The field by which a window sorts its messages, or that a source has the time in; `undefined` when there is not exactly one. */
  fieldOf(name: string): string | undefined {
    const own = this.#nodes.get(name)?.text("time");
    if (own !== undefined) return own;
    const [field, other] = this.#arriving.get(name)?.fields ?? [];
    return other === undefined ? field : undefined;
  }

  timingOf(name: string): Timing | undefined {
    return this.#arriving.get(name);
  }

  #leaving(name: string): Timing {
    if (this.#nodes.get(name)?.kind === "window") return { fields: new Set([WINDOW_TIME]), untimed: undefined };
    return this.#arriving.get(name) ?? UNKNOWN;
  }
}

const UNKNOWN: Timing = { fields: new Set(), untimed: undefined };

function timingOfSource(node: DraftNode): Timing {
  const field =
    node.text("time") ?? (MADE_HERE.has(parseTarget(node.text("from") ?? "")?.scheme) ? MADE_AT : undefined);
  return field === undefined
    ? { fields: new Set(), untimed: node.name }
    : { fields: new Set([field]), untimed: undefined };
}

function merged(timings: readonly Timing[]): Timing {
  const [only] = timings;
  if (only !== undefined && timings.length === 1) return only;
  const untimed = timings.find((timing) => timing.untimed !== undefined)?.untimed;
  return { fields: new Set(timings.flatMap((timing) => [...timing.fields])), untimed };
}

/** What is not told again cannot be replayed at another speed. `why` says which source it is. */
export function forbidSpeed(node: DraftNode, why: string, problems: ProblemList): void {
  const message = `\`speed\`: ${why}, so there is nothing to replay; read a stream, a table or a file`;
  if (node.has("speed")) problems.add("GRAPH-CAP", ["nodes", node.name, "speed"], message, "key");
}

/** A source that is read knows when there is nothing to read, and is idle then. */
export function forbidIdle(node: DraftNode, problems: ProblemList): void {
  const message = "`idle`: a source that is read says by itself that it has nothing";
  if (node.has("idle")) problems.add("GRAPH-CAP", ["nodes", node.name, "idle"], message, "key");
}

export function checkEventTimes(nodes: ReadonlyMap<string, DraftNode>, times: EventTimes, problems: ProblemList): void {
  for (const node of nodes.values()) {
    if (node.kind === "source" && times.fieldOf(node.name) === undefined) {
      for (const key of ["speed", "watermark", "idle"]) {
        if (node.has(key))
          problems.add(
            "GRAPH-TIME",
            ["nodes", node.name, key],
            `\`${key}\` needs the field with the event time; set \`time\``,
            "key",
          );
      }
    }
    if (node.kind === "window") checkWindowTime(node, times, problems);
  }
}

function checkWindowTime(node: DraftNode, times: EventTimes, problems: ProblemList): void {
  const path = ["nodes", node.name];
  const timing = times.timingOf(node.name) ?? UNKNOWN;
  if (timing.untimed !== undefined) {
    // Watermarks come from sources, so a window's own `time` could never close it.
    const message = `window \`${node.name}\` needs an event time, but source \`${timing.untimed}\` has no \`time\``;
    problems.add("GRAPH-TIME", path, message, "key");
  } else if (timing.fields.size > 1 && !node.has("time")) {
    const fields = [...timing.fields].map((field) => `\`${field}\``).join(" and ");
    problems.add(
      "GRAPH-TIME",
      path,
      `the inputs of window \`${node.name}\` have their event time in ${fields}; set its \`time\``,
      "key",
    );
  }
}
