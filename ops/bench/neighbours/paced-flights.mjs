/** Real flights at a fixed rate, again and again, as a source of one's own (`custom:`). */
import { Positions, RowBatch } from "@millrace/engine";
import { parquetSource } from "@millrace/streams/file";
import { PARQUET } from "../flights.mjs";

const ROWS = 65_536;
const PAUSE_MS = 20;

let loading;

async function flights() {
  const reader = await parquetSource({ path: PARQUET, decode: "inline" }).open("0", -1);
  const rows = [];
  while (rows.length < ROWS) {
    const read = await reader.read(ROWS - rows.length);
    if (read === "end") break;
    rows.push(...read.batch.rows());
  }
  await reader.close();
  return rows;
}

const pause = () => new Promise((resolve) => setTimeout(resolve, PAUSE_MS));

/** `rate`: rows per second. What it is late with it makes up for. */
export function source(options) {
  const rate = Number(options.get("rate"));
  return {
    capabilities: { replay: true, ordered: true, bounded: false },
    partitions: async () => ["0"],
    open: async (_partition, after) => {
      loading ??= flights();
      const rows = await loading;
      const first = after + 1;
      const started = performance.now();
      const due = () => first + Math.floor(((performance.now() - started) * rate) / 1000);
      let at = first;
      return {
        close: async () => undefined,
        read: async (most) => {
          while (due() <= at) await pause();
          const from = at % rows.length;
          const taken = rows.slice(from, from + Math.min(most, due() - at));
          const positions = Positions.dense(at, taken.length);
          at += taken.length;
          return { batch: new RowBatch(taken), positions, through: at - 1, rejected: [] };
        },
      };
    },
  };
}
