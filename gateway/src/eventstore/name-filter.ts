/**
 * Filters of the wire: by stream or by type, a list of prefixes or a regular expression. Expressions come from clients, who may
 * send one that takes for ever on some name; so each name is judged once, under a watchdog.
 */
import { createContext, Script } from "node:vm";
import type { RecordedEvent } from "@millrace/engine";
import { eventStoreError } from "./errors.ts";
import type { WireMessage } from "./wire-reader.ts";

export interface NameFilter {
  /** @throws EVENTSTORE-INVALID the expression takes too long on this event's name */
  passes(event: RecordedEvent): boolean;
  /** Events looked at, passing or not, between two checkpoints. */
  readonly checkpointInterval: number;
}

const WINDOW = 32;
const EXPRESSION_CHARS_MAX = 4096;
const PREFIXES_MAX = 1000;
/** By the clock on the wall, which runs on while a busy machine has no time for a harmless expression. */
const WATCH_MS = 500;
/** So an expression is refused for the processor time that it has had, in all attempts; each counts for a little at least. */
const USED_MS_MAX = 400;
const ATTEMPT_MS_MIN = 20;
const NAMES_KEPT = 10_000;

/** `ReadReq.Options.FilterOptions` and its twin of persistent subscriptions. @throws EVENTSTORE-INVALID */
export function readFilter(options: WireMessage): NameFilter {
  const byStream = options.has(1);
  const test = readExpression(options.message(byStream ? 1 : 2));
  const window = options.has(3) ? options.uint(3) : WINDOW;
  const multiplier = Math.max(1, options.uint(5));
  return {
    passes: byStream ? ({ stream }) => test(stream) : ({ type }) => test(type),
    checkpointInterval: Math.max(1, window) * multiplier,
  };
}

function readExpression(expression: WireMessage): (name: string) => boolean {
  const regex = expression.text(1);
  if (regex !== "") return remembered(expressionTest(regex));
  const prefixes = expression.texts(2);
  if (prefixes.length > PREFIXES_MAX)
    throw eventStoreError("EVENTSTORE-INVALID", `a filter has more than ${PREFIXES_MAX} prefixes`);
  return (name) => prefixes.length === 0 || prefixes.some((prefix) => name.startsWith(prefix));
}

function expressionTest(regex: string): (name: string) => boolean {
  if (regex.length > EXPRESSION_CHARS_MAX)
    throw eventStoreError("EVENTSTORE-INVALID", "a filter's expression is too long");
  const input = { expression: compile(regex), name: "" };
  const context = createContext(input);
  const script = new Script("expression.test(name)");
  return (name) => {
    input.name = name;
    let usedMs = 0;
    for (;;) {
      const before = process.cpuUsage();
      try {
        return script.runInContext(context, { timeout: WATCH_MS }) === true;
      } catch (cause) {
        const { user, system } = process.cpuUsage(before);
        usedMs += Math.max((user + system) / 1000, ATTEMPT_MS_MIN);
        if (usedMs < USED_MS_MAX) continue;
        const why = `the expression took more than ${WATCH_MS} ms on one name`;
        throw eventStoreError("EVENTSTORE-INVALID", why, { cause });
      }
    }
  };
}

function compile(regex: string): RegExp {
  try {
    return new RegExp(regex);
  } catch (cause) {
    throw eventStoreError("EVENTSTORE-INVALID", `"${regex.slice(0, 200)}" is no regular expression of JavaScript`, {
      cause,
    });
  }
}

/** Names repeat from event to event. */
function remembered(test: (name: string) => boolean): (name: string) => boolean {
  const known = new Map<string, boolean>();
  return (name) => {
    let passes = known.get(name);
    if (passes !== undefined) return passes;
    passes = test(name);
    if (known.size >= NAMES_KEPT) known.clear();
    known.set(name, passes);
    return passes;
  };
}
