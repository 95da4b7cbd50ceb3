/**
 * What nodes of the flights graph compute on column frames, and where native code makes it cheaper: its window node, whole (event
 * times, groups, closed windows as rows, changes for the log), with its groups kept by TypeScript and by the addon; its filter, and one
 * of three conditions, against a bare loop over one column, which no kernel beats by much. CPU time of a row.
 */
import { field, window } from "@millrace/actors";
import { compileExpression } from "@millrace/engine";
import { nativeGroups } from "@millrace/native";
import { loadFlights, memorySource } from "./flights.mjs";
import { measure, ratio, table } from "./measure.mjs";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const FRAME_ROWS = 4096;
const LATE = "event.delay >= 15";
const THREE = "event.delay >= 15 && event.distance < 1000 || event.origin == 'ATL'";
const DRAFT = { emit() {}, change() {}, drop: refuse, reject: refuse };

function refuse() {
  throw new Error("a flight was not taken");
}

async function framesOf(flights) {
  const reader = await memorySource(flights).open("0", -1);
  const frames = [];
  for (let read = await reader.read(FRAME_ROWS); read !== "end"; read = await reader.read(FRAME_ROWS))
    frames.push(read);
  return frames;
}

function windowRun(frames, kernels, sizeMs) {
  const delay = compileExpression("event.delay", {});
  const options = {
    sizeMs,
    time: field("date"),
    by: new Map([["origin", compileExpression("event.origin", {})]]),
    compute: new Map([
      ["flights", { fn: "count" }],
      ["mean_delay", { fn: "avg", argument: delay }],
      ["worst", { fn: "max", argument: delay }],
    ]),
    kernels,
  };
  return () => {
    const node = window(options);
    for (const { batch, positions, watermark } of frames) {
      node.take(DRAFT, { lane: "l", input: 0, batch, positions, late: [] });
      node.advance(DRAFT, watermark);
      node.finish(DRAFT);
      node.seal();
    }
  };
}

function filterRun(frames, source) {
  const where = compileExpression(source, {});
  return () => frames.reduce((passed, { batch }) => passed + where.predicate(batch).selected.length, 0);
}

/** Indices of the cells that are large enough: what a filter does at the least. */
function bareLoop(frames) {
  const into = new Uint32Array(FRAME_ROWS + 1);
  return () => {
    let passed = 0;
    for (const { batch } of frames) passed += indices(batch.columns.get("delay").values, into);
    return passed;
  };
}

function indices(values, into) {
  let n = 0;
  for (let i = 0; i < values.length; i++) {
    into[n] = i;
    n += Number(values[i] >= 15);
  }
  return n;
}

/** @param {{ repeats?: number }} options */
export async function main({ repeats = 9 } = {}) {
  const kernels = nativeGroups();
  if (kernels === undefined) throw new Error("the addon is not there (npm run native)");
  const flights = await loadFlights();
  const late = compileExpression(LATE, {});
  const all = (await framesOf(flights)).map(({ batch, positions }) => {
    const { values } = batch.columns.get("date");
    return { batch, positions, watermark: values[values.length - 1] - HOUR };
  });
  const passed = all.map((frame) => ({ ...frame, batch: frame.batch.select(late.predicate(frame.batch).selected) }));
  const rows = passed.reduce((n, { batch }) => n + batch.n, 0);
  const windows = [
    ["an hour, the late flights", passed, rows, HOUR],
    ["an hour, all flights", all, flights.n, HOUR],
    ["a day, all flights", all, flights.n, DAY],
  ];
  const ratios = {};
  for (const [name, frames, n, sizeMs] of windows) {
    const figures = await measure(
      [
        { name: "groups by TypeScript", n, run: windowRun(frames, undefined, sizeMs) },
        { name: "groups by the addon", n, run: windowRun(frames, kernels, sizeMs) },
      ],
      { repeats },
    );
    process.stdout.write(`${table(`window of ${name}: ${n} rows`, figures, "groups by TypeScript")}\n`);
    ratios[`window of ${name}`] = ratio(figures, "groups by the addon", "groups by TypeScript");
  }
  const filters = await measure(
    [
      { name: LATE, n: flights.n, run: filterRun(all, LATE) },
      { name: THREE, n: flights.n, run: filterRun(all, THREE) },
      { name: "a bare loop", n: flights.n, run: bareLoop(all) },
    ],
    { repeats },
  );
  process.stdout.write(`${table("filters", filters, LATE)}\n`);
  ratios["a bare loop instead of the filter"] = ratio(filters, "a bare loop", LATE);
  return { ratios };
}
