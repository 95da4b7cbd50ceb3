/**
 * Targets of sinks, one for each guarantee of R27, kept outside every host. Deliveries travel: one that left a process before
 * it died still arrives, and its answer may be lost.
 */
import type { CommittedBehavior, InputSlice, StateEvent } from "../../behavior/committed-behavior.ts";
import { engineError } from "../../errors.ts";
import type { Json } from "../../frame/json.ts";
import { comparePoints, type Point } from "../../frame/point.ts";
import type { SinkConnector } from "../../sink/sink-connector.ts";
import type { SinkGuarantee } from "../../sink/sink-guarantee.ts";
import type { Env } from "../../time/clock.ts";
import type { SeededRandom } from "../seeded-random.ts";

export type TargetKind = "key" | "offset" | "transaction" | "upsert" | "at-least-once";

/** One effect in the target. */
export interface Delivered extends Point {
  readonly lane: string;
  readonly row: Json;
}

export interface TargetFaults {
  /** Longest way to the target and back, in ms. */
  wayMs: number;
  /** Probability that a delivery or its answer gets lost. */
  failing: number;
}

export interface SimulatedTargetOptions {
  readonly name: string;
  readonly kind: TargetKind;
  readonly env: Env;
  readonly random: SeededRandom;
  /** For `upsert`: what a row replaces. */
  readonly keyOf?: (row: Json) => string;
  /** R27: an upsert is conditional on `(lane, pos, ord)`. Off: whatever arrives last wins. */
  readonly conditional?: boolean;
}

const UNANSWERED_MS = 300;

export class SimulatedTarget {
  readonly name: string;
  readonly kind: TargetKind;
  readonly faults: TargetFaults = { wayMs: 2, failing: 0 };
  /** In order of arrival; for `upsert` the present rows only. */
  rows: Delivered[] = [];
  /** The same place was delivered with other content (I3). */
  readonly conflicts: string[] = [];
  readonly #options: SimulatedTargetOptions;
  readonly #byKey = new Map<string, Delivered>();
  #opener: symbol | undefined;
  readonly #cursors = new Map<string, Point>();

  constructor(options: SimulatedTargetOptions) {
    this.#options = options;
    this.name = options.name;
    this.kind = options.kind;
  }

  /** What a row replaces in an upsert target. */
  keyOf(row: Json): string {
    return this.#options.keyOf?.(row) ?? "";
  }

  get isExactlyOnce(): boolean {
    return this.kind !== "at-least-once";
  }

  /** A connector for one process. */
  open(env: Env): SinkConnector {
    const opener = Symbol(this.name);
    const guarantee: SinkGuarantee = this.kind === "upsert" ? "key" : this.kind;
    return {
      guarantee,
      open: async (committed) => {
        this.#opener = opener;
        if (this.kind === "offset") this.rows.length = (committed as number | undefined) ?? 0;
      },
      deliver: (slices) => this.#deliver(env, slices, opener),
      close: async () => undefined,
    };
  }

  #deliver(env: Env, slices: readonly InputSlice[], opener: symbol): Promise<Json> {
    const { wayMs, failing } = this.faults;
    const random = this.#options.random;
    const rows = slices.flatMap(deliveredOf);
    // A file is written by the process itself: what has not happened when it dies does not happen.
    const way = this.kind === "offset" ? env : this.#options.env;
    const fails = random.chance(failing);
    return new Promise((resolve, reject) => {
      const failed = (): void => reject(engineError("SINK-FAILED", "simulated failure to deliver"));
      if (fails) env.timers.after(UNANSWERED_MS, failed);
      if (fails && (this.kind === "offset" || random.chance(0.5))) return;
      const late = fails && random.chance(0.5) ? 2000 * random.unit() : 0;
      way.timers.after(wayMs * random.unit() + late, () => {
        // A file is locked by, or an epoch given to, whoever opened it last.
        if (this.kind === "offset" && this.#opener !== opener) return;
        this.#apply(rows);
        const answer = this.kind === "offset" ? this.rows.length : rows.length;
        if (!fails) env.timers.after(wayMs * random.unit(), () => resolve(answer));
      });
    });
  }

  #apply(rows: readonly Delivered[]): void {
    for (const row of rows) {
      if (this.kind === "key") this.#insert(row);
      else if (this.kind === "upsert") this.#upsert(row);
      else if (this.kind === "transaction") this.#beyondCursor(row);
      else this.rows.push(row);
    }
  }

  #insert(row: Delivered): void {
    const key = `${row.lane}@${row.pos}.${row.ord}`;
    const known = this.#byKey.get(key);
    if (known === undefined) {
      this.#byKey.set(key, row);
      this.rows.push(row);
    } else if (JSON.stringify(known.row) !== JSON.stringify(row.row)) {
      this.conflicts.push(`${key}: ${JSON.stringify(known.row)} became ${JSON.stringify(row.row)}`);
    }
  }

  #upsert(row: Delivered): void {
    const key = this.keyOf(row.row);
    const known = this.#byKey.get(key);
    const conditional = this.#options.conditional ?? true;
    if (conditional && known !== undefined && known.lane === row.lane && comparePoints(row, known) <= 0) return;
    this.#byKey.set(key, row);
    this.rows = [...this.#byKey.values()];
  }

  /** The cursor commits with the effect: what it covers is there already. */
  #beyondCursor(row: Delivered): void {
    const cursor = this.#cursors.get(row.lane);
    if (cursor !== undefined && comparePoints(row, cursor) <= 0) return;
    this.#cursors.set(row.lane, { pos: row.pos, ord: row.ord });
    this.rows.push(row);
  }
}

function deliveredOf(slice: InputSlice): Delivered[] {
  return Array.from({ length: slice.batch.n }, (_, i) => ({
    lane: slice.lane,
    pos: slice.positions.pos(i),
    ord: slice.positions.ord(i),
    row: slice.batch.row(i),
  }));
}

/** A sink that delivers, then commits what the target answered. `poison` says which rows no target would take. */
export function simulatedSink(
  connector: SinkConnector,
  poison: (row: Json) => boolean = () => false,
): CommittedBehavior {
  let committed: Json | undefined;
  let answer: { readonly result: Json } | undefined;
  let slices: InputSlice[] = [];
  let isAhead = false;
  return {
    kind: "committed",
    ports: [],
    guarantee: connector.guarantee,
    open: () => connector.open(committed),
    take(_, slice) {
      for (let i = 0; i < slice.batch.n; i++) {
        if (poison(slice.batch.row(i))) throw engineError("MSG-POISON", "the target refuses this row");
      }
      if (slice.batch.n > 0) slices.push(slice);
    },
    async finish(draft) {
      if (slices.length === 0) return;
      if (isAhead) await connector.open(committed);
      isAhead = true;
      const result = await connector.deliver(slices);
      answer = { result };
      draft.change({ committed: result });
    },
    seal() {
      if (answer !== undefined) committed = answer.result;
      answer = undefined;
      isAhead = false;
      slices = [];
    },
    discard() {
      answer = undefined;
      slices = [];
    },
    fold(event: StateEvent) {
      committed = (event as { readonly committed: Json }).committed;
    },
    snapshot: () => (committed === undefined ? null : { committed }),
    restore(snapshot) {
      committed = (snapshot as { readonly committed: Json } | null)?.committed;
    },
    close: () => connector.close(),
  };
}
