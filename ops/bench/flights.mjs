/**
 * The flights graph as a program for benches, with the source left open, and the same logic as one hand-written loop. Data:
 * 3 000 000 flights of 2001 in time order from `vega-datasets`.
 */
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { calculator, connectorSink, enrich, field, filter, projectionSink, window } from "@millrace/actors";
import { ColumnBatch, compileExpression, Dictionary, Positions, systemEnv } from "@millrace/engine";
import { fileSink, parquetSource } from "@millrace/streams/file";
import { parse } from "csv-parse/sync";

const HOUR = 3_600_000;
/** The package exports its data only as URLs of a content network, so its folder is found by its entry. */
const DATA = join(dirname(createRequire(import.meta.url).resolve("vega-datasets")), "..", "data");
export const PARQUET = join(DATA, "flights-3m.parquet");

const airportRows = parse(readFileSync(join(DATA, "airports.csv")), { columns: true, cast: true });
const airports = new Map(airportRows.map((row) => [row.iata, row]));
const SCORE_MODULE = new URL("../examples/flights/score.ts", import.meta.url).href;

const expression = (source) => compileExpression(source, {});

/** Suppresses state events: what logging only cursors would cost. Such a log cannot be recovered from. */
function withoutState(behavior) {
  const silent = (draft) =>
    new Proxy(draft, {
      get: (d, key) => (key === "change" ? () => undefined : typeof d[key] === "function" ? d[key].bind(d) : d[key]),
    });
  return {
    ...behavior,
    take: (draft, slice) => behavior.take(silent(draft), slice),
    advance: (draft, watermark) => behavior.advance(silent(draft), watermark),
    finish: (draft) => behavior.finish(silent(draft)),
  };
}

/**
 * @param {import("@millrace/engine").SourceConnector} connector
 * @param {{ out: string, stateDelta?: boolean, frameMessagesMax?: number }} options
 */
export async function flightsProgram(connector, { out, stateDelta = true, frameMessagesMax = 4096 }) {
  const scored = await calculator({ url: SCORE_MODULE, pure: true }, systemEnv());
  const late = expression("event.delay >= 15");
  const makeWindow = () =>
    window({
      sizeMs: HOUR,
      time: field("date"),
      by: new Map([["origin", expression("event.origin")]]),
      compute: new Map([
        ["flights", { fn: "count", of: null }],
        ["mean_delay", { fn: "avg", of: expression("event.delay") }],
        ["worst", { fn: "max", of: expression("event.delay") }],
      ]),
    });
  return {
    graph: "late-flights",
    revision: 1,
    codeVersion: "bench",
    durability: "durable",
    nodes: [
      {
        name: "flights",
        kind: "source",
        role: "source",
        connector,
        eventTime: { field: "date", boundMs: HOUR },
        frameMessagesMax,
      },
      { name: "late", kind: "filter", role: "pure", make: () => filter({ where: late }) },
      {
        name: "located",
        kind: "enrich",
        role: "pure",
        make: () => enrich({ table: airports, key: expression("event.origin"), as: "airport" }),
      },
      {
        name: "by-airport",
        kind: "window",
        role: "committed",
        make: () => (stateDelta ? makeWindow() : withoutState(makeWindow())),
      },
      { name: "scored", kind: "calculator", role: "pure", make: () => scored },
      {
        name: "board",
        kind: "sink",
        role: "committed",
        isSink: true,
        make: () => projectionSink({ name: "departures", key: ["origin", "window_start"] }),
      },
      {
        name: "file",
        kind: "sink",
        role: "committed",
        isSink: true,
        make: () => connectorSink(fileSink({ path: out, format: "ndjson" })),
      },
    ],
    edges: [
      { from: "flights", to: "late" },
      { from: "late", to: "located" },
      { from: "located", to: "by-airport" },
      { from: "by-airport", to: "scored" },
      { from: "scored", to: "board" },
      { from: "scored", to: "file" },
    ],
  };
}

/** The whole file as columns in memory. */
export async function loadFlights() {
  const reader = await parquetSource({ path: PARQUET, decode: "inline" }).open("0", -1);
  const all = {
    n: 0,
    date: new Float64Array(3e6),
    delay: new Int32Array(3e6),
    distance: new Int32Array(3e6),
    origin: new Uint32Array(3e6),
    destination: new Uint32Array(3e6),
  };
  const dictionaries = { origin: new Dictionary(), destination: new Dictionary() };
  for (let read = await reader.read(65_536); read !== "end"; read = await reader.read(65_536)) {
    const { batch } = read;
    for (const [name, column] of batch.columns) {
      const into = all[name];
      for (let i = 0; i < batch.n; i++) {
        const at = batch.at(i);
        into[all.n + i] =
          column.type === "dictionary"
            ? dictionaries[name].code(column.dictionary.values[column.codes[at]])
            : column.values[at];
      }
    }
    all.n += batch.n;
  }
  await reader.close();
  return { ...all, dictionaries };
}

/** Flights in memory as a source of column frames; `rate`: messages per second, as a live source would see them arrive. */
export function memorySource(flights, { rate, seconds = 0 } = {}) {
  const total = rate === undefined ? flights.n : Math.min(flights.n, rate * seconds);
  return {
    capabilities: { replay: true, ordered: true, bounded: true },
    partitions: async () => ["0"],
    open: async (_partition, after) => {
      let at = after + 1;
      const started = performance.now();
      return {
        close: async () => undefined,
        read: async (most) => {
          if (at >= total) return "end";
          let end = Math.min(total, at + most);
          if (rate !== undefined) {
            while (Math.floor(((performance.now() - started) / 1000) * rate) <= at)
              await new Promise((resolve) => setTimeout(resolve, 1));
            end = Math.min(end, Math.floor(((performance.now() - started) / 1000) * rate));
          }
          const read = {
            batch: slice(flights, at, end),
            positions: Positions.dense(at, end - at),
            through: end - 1,
            rejected: [],
          };
          at = end;
          return read;
        },
      };
    },
  };
}

function slice(flights, a, b) {
  const { dictionaries } = flights;
  const columns = new Map([
    ["date", { type: "time", values: flights.date.subarray(a, b), nulls: null }],
    ["delay", { type: "number", values: flights.delay.subarray(a, b), nulls: null }],
    ["distance", { type: "number", values: flights.distance.subarray(a, b), nulls: null }],
    [
      "origin",
      { type: "dictionary", codes: flights.origin.subarray(a, b), dictionary: dictionaries.origin, nulls: null },
    ],
    [
      "destination",
      {
        type: "dictionary",
        codes: flights.destination.subarray(a, b),
        dictionary: dictionaries.destination,
        nulls: null,
      },
    ],
  ]);
  return new ColumnBatch(columns, null, b - a);
}

/** The same graph as a person would write it by hand, with row objects and nothing durable; returns how many rows came out. */
export function handWritten(flights, out) {
  const file = openSync(out, "w");
  const windows = new Map();
  const board = new Map();
  let text = "";
  let rows = 0;
  let low = Number.POSITIVE_INFINITY;
  const close = (watermark) => {
    if (low + HOUR > watermark) return;
    for (const [start, groups] of windows) {
      if (start + HOUR > watermark) continue;
      const window_start = new Date(start).toISOString();
      const window_end = new Date(start + HOUR).toISOString();
      for (const [origin, g] of groups) {
        const mean_delay = g.sum / g.n;
        const row = {
          origin,
          window_start,
          window_end,
          flights: g.n,
          mean_delay,
          worst: g.max,
          score: Math.min(100, mean_delay * 0.5 + g.max * 0.1 + g.n),
        };
        board.set(`${origin}|${window_start}`, row);
        text += `${JSON.stringify(row)}\n`;
        rows++;
      }
      if (text.length > 65_536) {
        writeSync(file, text);
        text = "";
      }
      windows.delete(start);
    }
    low = Math.min(...windows.keys(), Number.POSITIVE_INFINITY);
  };
  let watermark = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < flights.n; i++) {
    const { dictionaries } = flights;
    const event = {
      date: flights.date[i],
      delay: flights.delay[i],
      distance: flights.distance[i],
      origin: dictionaries.origin.values[flights.origin[i]],
      destination: dictionaries.destination.values[flights.destination[i]],
    };
    watermark = Math.max(watermark, event.date - HOUR);
    if (event.delay >= 15) {
      const located = { ...event, airport: airports.get(event.origin) };
      const start = located.date - (located.date % HOUR);
      let groups = windows.get(start);
      if (groups === undefined) {
        groups = new Map();
        windows.set(start, groups);
        low = Math.min(low, start);
      }
      let group = groups.get(located.origin);
      if (group === undefined) {
        group = { n: 0, sum: 0, max: Number.NEGATIVE_INFINITY };
        groups.set(located.origin, group);
      }
      group.n++;
      group.sum += located.delay;
      if (located.delay > group.max) group.max = located.delay;
    }
    close(watermark);
  }
  close(Number.POSITIVE_INFINITY);
  writeSync(file, text);
  closeSync(file);
  return rows;
}
