/**
 * The beat of all live views: while somebody watches, four snapshots a second are taken once and shared by everyone.
 * Without watchers nothing runs.
 */
import type { Env, EventLog, GraphHost, Timer } from "@millrace/engine";
import { type EventHead, eventHead } from "../event-json.ts";
import type { LiveGraph, Snapshot } from "./live-status.ts";
import { RateSampler } from "./rate-sampler.ts";

export const BEAT_MS = 250;
/** Newest events that one beat carries. */
export const NEWEST_MAX = 50;

/** One beat. What is expensive is made once, when the first watcher asks. */
export interface Beat {
  readonly snapshot: Snapshot;
  /** Position after the newest durable event. */
  readonly end: number;
  /** JSON of the `status` message: all graphs in short, and those in full that `detail` names. */
  statusJson(detail: Detail): string;
  /** The newest events of the log, oldest first. */
  newest(): Promise<readonly EventHead[]>;
}

/** Which graphs are shown with their nodes and edges: none, all, or one. */
export type Detail = "none" | "all" | { readonly graph: string };

const NOTHING_YET = { end: 0, events: [] as readonly EventHead[] };

export type Watcher = (beat: Beat) => void;

export class LiveFeed {
  readonly #env: Env;
  readonly #log: EventLog;
  readonly #sampler: RateSampler;
  readonly #watchers = new Set<Watcher>();
  #newest: Promise<{ readonly end: number; readonly events: readonly EventHead[] }> = Promise.resolve(NOTHING_YET);
  #timer: Timer | undefined;

  constructor(host: GraphHost, log: EventLog, env: Env) {
    this.#env = env;
    this.#log = log;
    this.#sampler = new RateSampler(host, env.clock);
  }

  get watcherCount(): number {
    return this.#watchers.size;
  }

  /** Calls `watcher` now and then at 4 Hz until `signal` aborts. A watcher must not throw. */
  watch(watcher: Watcher, signal: AbortSignal): void {
    if (signal.aborted) return;
    this.#watchers.add(watcher);
    signal.addEventListener("abort", () => this.#leave(watcher), { once: true });
    watcher(this.#beat());
    if (!this.#timer) this.#schedule();
  }

  #leave(watcher: Watcher): void {
    this.#watchers.delete(watcher);
    if (this.#watchers.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#sampler.reset();
  }

  /** The newest events at `end`; of those known from the beat before only the new ones are read. */
  async #newestAt(end: number): Promise<readonly EventHead[]> {
    // A read that failed ended the streams that waited for it; whoever comes back starts from the log.
    const known = await this.#newest.catch(() => NOTHING_YET);
    const fresh = newestEvents(this.#log, end, known.end);
    this.#newest = fresh.then((events) => ({ end, events: [...known.events, ...events].slice(-NEWEST_MAX) }));
    return (await this.#newest).events;
  }

  #schedule(): void {
    this.#timer = this.#env.timers.after(BEAT_MS, () => {
      const beat = this.#beat();
      this.#schedule();
      for (const watcher of [...this.#watchers]) watcher(beat);
    });
  }

  #beat(): Beat {
    const snapshot = this.#sampler.sample();
    const end = this.#log.durableEnd;
    const json = new Map<string, string>();
    let newest: Promise<readonly EventHead[]> | undefined;
    return {
      snapshot,
      end,
      statusJson: (detail) => {
        const name = JSON.stringify(detail);
        const made = json.get(name) ?? statusJson(snapshot, end, detail);
        json.set(name, made);
        return made;
      },
      newest: () => {
        newest ??= this.#newestAt(end);
        return newest;
      },
    };
  }
}

function statusJson({ atMs, graphs }: Snapshot, end: number, detail: Detail): string {
  const shown = graphs.map((graph) => {
    if (detail === "all" || (detail !== "none" && detail.graph === graph.graph)) return graph;
    const { nodes: _nodes, edges: _edges, ...short } = graph;
    return short satisfies LiveGraph;
  });
  return JSON.stringify({ atMs, end, graphs: shown });
}

/** At most {@link NEWEST_MAX} events before `end` and not before `from`, oldest first. */
async function newestEvents(log: EventLog, end: number, from: number): Promise<readonly EventHead[]> {
  const limit = Math.min(NEWEST_MAX, end - from);
  if (limit <= 0) return [];
  const found: EventHead[] = [];
  for await (const batch of log.read({ from: end - 1, direction: "backward", limit })) {
    for (const event of batch) found.push(eventHead(event));
  }
  return found.reverse();
}
