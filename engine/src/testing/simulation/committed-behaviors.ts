/** Behaviors with state for simulated graphs. Rows are those of `pure-behaviors.ts`. */
import type { CommittedBehavior, CommittedContext, Draft, InputSlice } from "../../behavior/committed-behavior.ts";
import { RowBatch } from "../../frame/batch.ts";
import type { Json } from "../../frame/json.ts";
import type { Env, Timer } from "../../time/clock.ts";
import { DraftMap } from "./draft-map.ts";
import { type Row, rowOf } from "./pure-behaviors.ts";

function rowsOf(slice: InputSlice): readonly Row[] {
  return slice.batch.rows().map(rowOf);
}

function keptIn(map: DraftMap<Json>): Pick<CommittedBehavior, "seal" | "discard" | "fold" | "snapshot" | "restore"> {
  return {
    seal: () => map.seal(),
    discard: () => map.discard(),
    fold: (event) => void map.fold(event),
    snapshot: () => map.snapshot,
    restore: (snapshot) => map.restore(snapshot),
  };
}

/** Per key a sum and a count; each message is answered with the new sum. */
export function runningSum(): CommittedBehavior {
  const sums = new DraftMap<number>("sum");
  return {
    kind: "committed",
    ports: ["out"],
    take(draft, slice) {
      const out: Json[] = [];
      for (const row of rowsOf(slice)) {
        const sum = (sums.get(row.key) ?? 0) + row.value;
        sums.set(draft, row.key, sum);
        out.push({ ...row, sum });
      }
      draft.emit("out", new RowBatch(out));
    },
    ...keptIn(sums as DraftMap<Json>),
  };
}

const HASH_PRIME = 0x01000193;

/** Folds all inputs into one hash that depends on the order of everything taken; answers with the hash at each message. */
export function orderSensitiveFold(): CommittedBehavior {
  const state = new DraftMap<number>("fold");
  return {
    kind: "committed",
    ports: ["out"],
    take(draft, slice) {
      const out: Json[] = [];
      for (const row of rowsOf(slice)) {
        const hash = Math.imul((state.get("hash") ?? 0x811c9dc5) ^ (row.id + 1 + slice.input * 7919), HASH_PRIME) >>> 0;
        state.set(draft, "hash", hash);
        out.push({ ...row, hash });
      }
      draft.emit("out", new RowBatch(out));
    },
    ...keptIn(state as DraftMap<Json>),
  };
}

export interface SumWindowOptions {
  readonly sizeMs: number;
}

/** Tumbling windows: count and sum per key. Late messages leave on port `late`, each with the watermark that it missed. */
export function sumWindow({ sizeMs }: SumWindowOptions): CommittedBehavior {
  const groups = new DraftMap<readonly [number, number]>("group");
  let watermark = Number.NEGATIVE_INFINITY;
  let sealed = watermark;
  const startOf = (key: string): number => Number(key.split("/")[0]);
  const close = (to: number): readonly Json[] => {
    watermark = Math.max(watermark, to);
    const rows: Json[] = [];
    for (const key of groups.keys) {
      const start = startOf(key);
      if (start + sizeMs > watermark) continue;
      const [count, sum] = groups.get(key) as readonly [number, number];
      rows.push({ id: start, key: key.slice(key.indexOf("/") + 1), time: start + sizeMs - 1, value: sum, count });
      groups.forget(key);
    }
    return rows;
  };
  return {
    kind: "committed",
    ports: ["out", "late"],
    take(draft, slice) {
      const missed = new Map(slice.late.map((l) => [l.pos, l.watermark]));
      const late: Json[] = [];
      rowsOf(slice).forEach((row, i) => {
        const mark = missed.get(slice.positions.pos(i));
        const start = Math.floor(row.time / sizeMs) * sizeMs;
        if (mark !== undefined || start + sizeMs <= watermark) {
          late.push({ ...row, missed: mark ?? null });
          return;
        }
        const key = `${start}/${row.key}`;
        const [count, sum] = groups.get(key) ?? [0, 0];
        groups.set(draft, key, [count + 1, sum + row.value]);
      });
      draft.emit("late", new RowBatch(late));
    },
    advance(draft, to) {
      draft.emit("out", new RowBatch(close(to)));
    },
    hold: () => Math.floor(watermark / sizeMs) * sizeMs,
    seal() {
      groups.seal();
      sealed = watermark;
    },
    discard() {
      groups.discard();
      watermark = sealed;
    },
    fold: (event) => void groups.fold(event),
    foldWatermark(to) {
      close(to);
      groups.seal();
      sealed = watermark;
    },
    snapshot: () => [watermark, groups.snapshot],
    restore(snapshot) {
      const [at, kept] = snapshot as [number, Json];
      watermark = sealed = at;
      groups.restore(kept);
    },
  };
}

/** Inner join of input 0 and input 1 by `key`, for ever: the set of pairs does not depend on the order of arrival. */
export function innerJoin(): CommittedBehavior {
  const seen = new DraftMap<readonly Json[]>("seen");
  return {
    kind: "committed",
    ports: ["out"],
    take(draft, slice) {
      const out: Json[] = [];
      for (const row of rowsOf(slice)) {
        const own = `${slice.input}/${row.key}`;
        seen.set(draft, own, [...(seen.get(own) ?? []), row]);
        for (const other of seen.get(`${1 - slice.input}/${row.key}`) ?? []) {
          const [left, right] = slice.input === 0 ? [row, rowOf(other)] : [rowOf(other), row];
          out.push({ ...left, value: left.value * 1000 + right.value, pair: `${left.id}+${right.id}` });
        }
      }
      draft.emit("out", new RowBatch(out));
    },
    ...keptIn(seen as DraftMap<Json>),
  };
}

/** Joins each message of input 0 with the newest of input 1 under its key: what it says depends on the order of arrival. */
export function latestJoin(): CommittedBehavior {
  const newest = new DraftMap<Json>("newest");
  return {
    kind: "committed",
    ports: ["out"],
    take(draft, slice) {
      const out: Json[] = [];
      for (const row of rowsOf(slice)) {
        if (slice.input === 1) newest.set(draft, row.key, row.id);
        else out.push({ ...row, with: newest.get(row.key) ?? null });
      }
      draft.emit("out", new RowBatch(out));
    },
    ...keptIn(newest),
  };
}

/** Draws for each message and asks two remote services at once per step; all results are recorded. */
export function undetermined(env: Env): CommittedBehavior {
  const draws = new DraftMap<number>("draws");
  let taken: Row[] = [];
  const ask = async (): Promise<number> => {
    await new Promise<void>((resolve) => {
      env.timers.after(1 + (env.random.u32() % 20), resolve);
    });
    return env.random.u32();
  };
  return {
    kind: "committed",
    ports: ["out"],
    take(_, slice) {
      taken.push(...rowsOf(slice));
    },
    async finish(draft) {
      if (taken.length === 0) return;
      const asked = await Promise.all([draft.recordAsync(ask), draft.recordAsync(ask)]);
      const out: Json[] = [];
      for (const row of taken) {
        const draw = draft.record(() => env.random.u32() % 1000);
        draws.set(draft, row.key, (draws.get(row.key) ?? 0) + draw);
        out.push({ ...row, draw, asked, at: draft.at });
      }
      draft.emit("out", new RowBatch(out));
    },
    ...keptIn(draws as DraftMap<Json>),
    seal() {
      taken = [];
      draws.seal();
    },
    discard() {
      taken = [];
      draws.discard();
    },
  };
}

/** Sends each message on after `delayMs`, by the tick of its steps: pending timers are state, firing them needs no input. */
export function delayed(env: Env, delayMs: number): CommittedBehavior & { fire(draft: Draft): void } {
  const pending = new DraftMap<readonly [number, Json]>("pending");
  let context: CommittedContext | undefined;
  let timer: Timer | undefined;
  const fire = (draft: Draft): void => {
    const due = pending.keys.filter((key) => (pending.get(key) as readonly [number, Json])[0] <= draft.at);
    const rows = due.map((key) => (pending.get(key) as readonly [number, Json])[1]);
    for (const key of due) pending.set(draft, key, undefined);
    draft.emit("out", new RowBatch(rows));
  };
  const arm = (): void => {
    if (context === undefined || timer !== undefined || pending.size === 0) return;
    timer = env.timers.after(delayMs, () => {
      timer = undefined;
      context?.request(fire).catch(() => undefined);
      arm();
    });
  };
  return {
    kind: "committed",
    ports: ["out"],
    open(opened) {
      context = opened;
      arm();
    },
    take(draft, slice) {
      for (const row of rowsOf(slice))
        pending.set(draft, String(row.id), [draft.at + delayMs, { ...row, taken: draft.at }]);
    },
    fire,
    hold: () => Math.min(...pending.keys.map((key) => rowOf((pending.get(key) as readonly [number, Json])[1]).time)),
    ...keptIn(pending as DraftMap<Json>),
    seal() {
      pending.seal();
      arm();
    },
    close() {
      context = undefined;
      timer?.cancel();
    },
  };
}

/** Sends each message around the loop `value` times, then out. Input 0 is the outer one, input 1 the feedback. */
export function looping(): CommittedBehavior {
  const open = new DraftMap<Json>("open");
  return {
    kind: "committed",
    ports: ["out", "loop"],
    take(draft, slice) {
      const out: Json[] = [];
      const again: Json[] = [];
      for (const row of rowsOf(slice)) {
        const hops = slice.input === 0 ? row.value : Number(row.hops) - 1;
        if (hops > 0) {
          again.push({ ...row, hops });
          if (slice.input === 0) open.set(draft, String(row.id), row.time);
        } else {
          out.push({ ...row, hops: 0 });
          if (slice.input === 1) open.set(draft, String(row.id), undefined);
        }
      }
      draft.emit("loop", new RowBatch(again));
      draft.emit("out", new RowBatch(out));
    },
    hold: () => Math.min(...open.keys.map((key) => Number(open.get(key)))),
    ...keptIn(open),
  };
}
