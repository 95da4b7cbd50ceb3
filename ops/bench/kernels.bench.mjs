/**
 * What nodes of the flights graph compute on column frames, and where native code makes it cheaper: its window node, whole (event
 * times, groups, closed windows as rows, changes for the log), with its groups kept by TypeScript and by the addon; its filter, one on
 * a text field, with wide and with narrow codes, and one of three conditions, each with a projection behind it, against the loop that
 * does no more than these; the partitions of keys of many lengths. CPU time of a row.
 */
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import zlib from "node:zlib";
import { field, filter, map, window } from "@millrace/actors";
import { ColumnBatch, compileExpression, RowBatch } from "@millrace/engine";
import { nativeGroups, nativeKeys, nativeSelection, nativeZstd } from "@millrace/native";
import { loadFlights, memorySource } from "./flights.mjs";
import { measure, ratio, table } from "./measure.mjs";

const { zstdCompressSync, zstdDecompressSync } = zlib;
const ofStreams = createRequire(import.meta.resolve("@millrace/streams/kafka"));
const { compressFrameSync, decompressFrameSync } = ofStreams("lz4-napi");
const { compressSync, uncompressSync } = ofStreams("snappy");
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const FRAME_ROWS = 4096;
const LATE = "event.delay >= 15";
const ATLANTA = "event.origin == 'ATL'";
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

function windowRun(frames, kernels, { sizeMs, everyMs, by = ["origin"] }) {
  const delay = compileExpression("event.delay", {});
  const options = {
    sizeMs,
    everyMs,
    time: field("date"),
    by: new Map(by.map((name) => [name, compileExpression(`event.${name}`, {})])),
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

/** A filter node and, behind it, one that keeps two fields. */
function filterRun(frames, source, kernel) {
  const passing = filter({ where: compileExpression(source, {}, kernel) });
  const keeping = map({ select: ["delay", "origin"] });
  const project = ({ batch }) => keeping.transform(passing.transform(batch).outputs[0].batch).outputs[0].batch;
  return () => frames.reduce((passed, frame) => passed + project(frame).n, 0);
}

/** `loop(columns, n, into)` on every frame; it writes the indices of what passes into `into`, with room for one more. */
function bareRun(frames, loop) {
  const into = new Uint32Array(FRAME_ROWS + 1);
  return () => frames.reduce((passed, { batch }) => passed + loop(batch.columns, batch.n, into), 0);
}

/** What `LATE` does at the least. Frames hold a multiple of four rows, but for the last. */
function lateLoop(columns, n, into) {
  const { values } = columns.get("delay");
  let end = 0;
  let i = 0;
  for (; i + 3 < n; i += 4) {
    into[end] = i;
    end += Number(values[i] >= 15);
    into[end] = i + 1;
    end += Number(values[i + 1] >= 15);
    into[end] = i + 2;
    end += Number(values[i + 2] >= 15);
    into[end] = i + 3;
    end += Number(values[i + 3] >= 15);
  }
  for (; i < n; i++) {
    into[end] = i;
    end += Number(values[i] >= 15);
  }
  return end;
}

/** What `ATLANTA` does at the least, by codes. */
function atlantaLoop(columns, n, into) {
  const { codes, dictionary } = columns.get("origin");
  const atlanta = dictionary.values.indexOf("ATL");
  let end = 0;
  for (let i = 0; i < n; i++) {
    into[end] = i;
    end += Number(codes[i] === atlanta);
  }
  return end;
}

/** The frames with codes of two bytes, which columns may have, too. */
function narrow(frames) {
  return frames.map((frame) => {
    const columns = new Map(frame.batch.columns);
    const origin = columns.get("origin");
    columns.set("origin", { ...origin, codes: Uint16Array.from(origin.codes) });
    return { ...frame, batch: new ColumnBatch(columns, null, frame.batch.n) };
  });
}

/** What `THREE` does at the least. */
function threeLoop(columns, n, into) {
  const delays = columns.get("delay").values;
  const distances = columns.get("distance").values;
  const { codes, dictionary } = columns.get("origin");
  const atlanta = dictionary.values.indexOf("ATL");
  let end = 0;
  for (let i = 0; i < n; i++) {
    into[end] = i;
    end += (Number(delays[i] >= 15) & Number(distances[i] < 1000)) | Number(codes[i] === atlanta);
  }
  return end;
}

/** Parts of streams that have no entry of their own. */
function streamsPart(path) {
  return import(new URL(`../../streams/dist/${path}`, import.meta.url).href);
}

/** What a message costs that goes to Kafka: its bytes, and which partition its key belongs to, by rows and by a column of codes. */
async function leavingFigures(flights, repeats) {
  const { KeyPlacer } = await streamsPart("kafka/key-placer.js");
  const [{ batch }] = await framesOf(flights);
  const rows = new RowBatch(batch.rows());
  const n = rows.n * TURNS;
  const times = (each) => () => {
    for (let turn = 0; turn < TURNS; turn++) each();
  };
  const placer = new KeyPlacer({ topic: "t", field: "origin", partitions: PARTITIONS, kernel: nativeKeys() });
  const variants = [
    { name: "its JSON as bytes", n, run: times(() => rows.rows().map((row) => Buffer.from(JSON.stringify(row)))) },
    { name: "partition of its key (origin), of rows", n, run: times(() => placer.places(rows)) },
    { name: "partition of its key (origin), of columns", n, run: times(() => placer.places(batch)) },
  ];
  return measure(variants, { repeats });
}

const TURNS = 50;
const PARTITIONS = 12;
const KEYS_AT_LEAST = 1_000_000;

/** Keys of so many characters; one in `every` has one that is not ASCII, or none has. */
function keysOf(n, length, every) {
  const digits = (i) => createHash("sha512").update(`${length}/${i}`).digest("hex").repeat(2).slice(0, length);
  // As the text of a message has them: each a string of its own.
  return JSON.parse(
    JSON.stringify(Array.from({ length: n }, (_, i) => (i % every === 0 ? `é${digits(i).slice(1)}` : digits(i)))),
  );
}

/** Partitions of keys, all in one call: by TypeScript, by the addon, and by whichever a sink takes. */
async function keyFigures(repeats) {
  const { partitionsOf } = await streamsPart("kafka/partitioner.js");
  const kernel = nativeKeys();
  const placed = new Int32Array(FRAME_ROWS);
  const always = (keys) => {
    kernel.place(keys, PARTITIONS, placed);
    return placed.subarray(0, keys.length);
  };
  const cases = [
    ...[4, 8, 12, 16, 24, 36, 64, 200].map((length) => [`512 keys of ${length} characters`, keysOf(512, length)]),
    ...[1, 16, 64, 4096].map((n) => [`${n} keys of 36 characters`, keysOf(n, 36)]),
    ["512 keys of 36 characters, one in 100 not ASCII", keysOf(512, 36, 100)],
    ["512 keys of 36 characters, none ASCII", keysOf(512, 36, 1)],
  ];
  const figures = new Map();
  for (const [name, keys] of cases) {
    const turns = Math.ceil(KEYS_AT_LEAST / keys.length);
    const variant = (of, place) => {
      const run = () => {
        for (let turn = 0; turn < turns; turn++) place(keys);
      };
      return { name: of, n: turns * keys.length, run };
    };
    const ways = [
      ["TypeScript", (all) => partitionsOf(all, PARTITIONS, undefined)],
      ["the addon", always],
      ["as a sink asks", (all) => partitionsOf(all, PARTITIONS, kernel)],
    ];
    const said = new Set(ways.map(([, place]) => place(keys).join()));
    if (said.size > 1) throw new Error(`${name} lie in several places`);
    const measured = await measure(
      ways.map(([of, place]) => variant(of, place)),
      { repeats },
    );
    figures.set(name, measured);
  }
  return figures;
}

/** A batch of flights as NDJSON, packed and unpacked: per byte of it. */
async function codecFigures(flights, repeats) {
  const { loadZstd } = await streamsPart("compression/zstd.js");
  const [{ batch }] = await framesOf(flights);
  const text = Buffer.from(
    batch
      .rows()
      .map((row) => `${JSON.stringify(row)}\n`)
      .join(""),
  );
  const script = await loadZstd();
  const native = nativeZstd();
  const codecs = [
    ["zstd (WebAssembly)", script.compress, (bytes) => script.decompress(bytes, text.length)],
    ["zstd (the addon)", (bytes) => native.compress(bytes), (bytes) => native.decompress(bytes, text.length)],
    // Of Node 22.15 and later.
    ...(zstdCompressSync === undefined ? [] : [["zstd (Node's own, native)", zstdCompressSync, zstdDecompressSync]]),
    ["lz4 (native)", compressFrameSync, decompressFrameSync],
    ["snappy (native)", compressSync, (bytes) => uncompressSync(bytes, { asBuffer: true })],
  ];
  const { length: n } = text;
  for (const [name, compress, decompress] of codecs) {
    const packed = compress(text);
    if (!text.equals(decompress(packed))) throw new Error(`${name} does not give back what it packed`);
    process.stdout.write(`${name}: ${n} bytes → ${packed.length}\n`);
  }
  const packing = codecs.map(([name, compress]) => ({ name, n, run: () => compress(text) }));
  const unpacking = codecs.map(([name, compress, decompress]) => {
    const packed = compress(text);
    return { name, n, run: () => decompress(packed) };
  });
  const times = { repeats: repeats * 5 };
  return { compression: await measure(packing, times), decompression: await measure(unpacking, times) };
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
    ["an hour, the late flights", passed, rows, { sizeMs: HOUR }],
    ["an hour, all flights", all, flights.n, { sizeMs: HOUR }],
    ["a day, all flights", all, flights.n, { sizeMs: DAY }],
    ["a day by route, all flights", all, flights.n, { sizeMs: DAY, by: ["origin", "destination"] }],
    ["a day by origin and distance, all flights", all, flights.n, { sizeMs: DAY, by: ["origin", "distance"] }],
    ["a day every 6 hours, all flights", all, flights.n, { sizeMs: DAY, everyMs: DAY / 4 }],
    ["an hour every 15 minutes, all flights", all, flights.n, { sizeMs: HOUR, everyMs: HOUR / 4 }],
  ];
  const ratios = {};
  for (const [name, frames, n, span] of windows) {
    const figures = await measure(
      [
        { name: "groups by TypeScript", n, run: windowRun(frames, undefined, span) },
        { name: "groups by the addon", n, run: windowRun(frames, kernels, span) },
      ],
      { repeats },
    );
    process.stdout.write(`${table(`window of ${name}: ${n} rows`, figures, "groups by TypeScript")}\n`);
    ratios[`window of ${name}`] = ratio(figures, "groups by the addon", "groups by TypeScript");
  }
  for (const [name, source, frames, loop] of [
    [LATE, LATE, all, lateLoop],
    [ATLANTA, ATLANTA, all, atlantaLoop],
    [`${ATLANTA}, codes of two bytes`, ATLANTA, narrow(all), atlantaLoop],
    [THREE, THREE, all, threeLoop],
  ]) {
    const of = [
      { name: "filter and map nodes", n: flights.n, run: filterRun(frames, source) },
      { name: "the same with the addon", n: flights.n, run: filterRun(frames, source, nativeSelection()) },
      { name: "a bare loop", n: flights.n, run: bareRun(frames, loop) },
    ];
    const counts = new Set(of.map(({ run }) => run()));
    if (counts.size > 1) throw new Error(`they pass ${[...counts].join(" and ")} rows`);
    const figures = await measure(of, { repeats });
    process.stdout.write(`${table(name, figures, "a bare loop")}\n`);
    ratios[`filter ${name} by the addon`] = ratio(figures, "the same with the addon", "filter and map nodes");
    ratios[`filter ${name} against a bare loop`] = ratio(figures, "filter and map nodes", "a bare loop");
  }
  const leaving = await leavingFigures(flights, repeats);
  process.stdout.write(`${table("a message to Kafka", leaving, "its JSON as bytes")}\n`);
  for (const form of ["rows", "columns"])
    ratios[`partition of a key of ${form} against a message's bytes`] = ratio(
      leaving,
      `partition of its key (origin), of ${form}`,
      "its JSON as bytes",
    );
  for (const [name, figures] of await keyFigures(repeats)) {
    process.stdout.write(`${table(`partitions of ${name}`, figures, "TypeScript")}\n`);
    ratios[`partitions of ${name} by the addon`] = ratio(figures, "the addon", "TypeScript");
    ratios[`partitions of ${name} as a sink asks`] = ratio(figures, "as a sink asks", "TypeScript");
  }
  for (const [what, figures] of Object.entries(await codecFigures(flights, repeats))) {
    process.stdout.write(`${table(`${what}, per byte`, figures, "zstd (WebAssembly)")}\n`);
    for (const name of [...figures.keys()].slice(1))
      ratios[`${what}: ${name} against zstd (WebAssembly)`] = ratio(figures, name, "zstd (WebAssembly)");
  }
  return { ratios };
}
