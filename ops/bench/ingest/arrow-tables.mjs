/** NDJSON files as Arrow: by a source and the tables of its frames, and by hand. Both read `n` rows or throw. */
import { readFileSync } from "node:fs";
import { systemEnv } from "@millrace/engine";
import { arrowTable, ndjsonSource } from "@millrace/streams/file";
import { Bool, Float64, makeBuilder, Utf8 } from "apache-arrow";

const FRAME_ROWS = 4096;

/** A table of each frame. @param {import("@millrace/engine").TextKernels | undefined} kernels */
export async function tablesOfFrames(path, kernels, n) {
  const reader = await ndjsonSource({ path, kernels }, systemEnv()).open("0", -1);
  let rows = 0;
  for (let read = await reader.read(FRAME_ROWS); read !== "end"; read = await reader.read(FRAME_ROWS)) {
    if (read.rejected.length > 0) throw read.rejected[0].error;
    rows += (await arrowTable(read.batch)).numRows;
  }
  await reader.close();
  expect(rows, n);
}

const arrowType = (value) =>
  typeof value === "number" ? new Float64() : typeof value === "boolean" ? new Bool() : new Utf8();

/** `JSON.parse` of each line, its values appended to builders of apache-arrow; what Arrow has no plain type for stays text. */
export function tableByBuilders(path, n) {
  const lines = readFileSync(path, "utf8").split("\n");
  const first = JSON.parse(lines[0]);
  const names = Object.keys(first);
  const columns = names.map((field) => ({
    isText: typeof first[field] === "object",
    builder: makeBuilder({ type: arrowType(first[field]), nullValues: [null] }),
  }));
  for (let row = 0; row < n; row++) {
    const values = JSON.parse(lines[row]);
    for (let i = 0; i < names.length; i++) {
      const value = values[names[i]];
      const { isText, builder } = columns[i];
      builder.append(isText && value !== null ? JSON.stringify(value) : value);
    }
  }
  expect(columns[0].builder.finish().toVector().length, n);
  for (const { builder } of columns.slice(1)) builder.finish().toVector();
}

function expect(rows, n) {
  if (rows !== n) throw new Error(`${rows} of ${n} rows were read`);
}
