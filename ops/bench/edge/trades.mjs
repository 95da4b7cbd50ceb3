/** The trades that the engines of the bench read, and the windows that they must write. */
import { writeFileSync } from "node:fs";
import { seeded } from "../../test/faults/demo-run.mjs";

const SYMBOLS = 1000;
const ZIPF = 1.1;
const PER_SECOND = 2000;
const LATE_SHARE = 0.02;
/** Less than the two seconds that engines wait for late trades. */
const LATE_MS_MAX = 1000;
const TRADE_BYTES = 250;
const START_MS = Date.UTC(2001, 0, 1);
export const WINDOW_MS = 10_000;
export const WATERMARK_MS = 2000;
/** Kept are trades of at least so many pieces: about half. */
export const QTY_MIN = 50;

/** `n` trades in the order in which they are sent; one more, far ahead, closes the windows of all before. */
export function makeTrades(n) {
  const random = seeded(1);
  const symbolOf = zipf(random);
  const trades = Array.from({ length: n }, (_, i) => {
    const lateMs = random() < LATE_SHARE ? Math.floor(random() * LATE_MS_MAX) : 0;
    return trade(
      i,
      symbolOf(),
      100 + Math.floor(random() * 10_000),
      1 + Math.floor(random() * 99),
      i * (1000 / PER_SECOND) - lateMs,
    );
  });
  return [...trades, trade(n, "END", 1, 99, n * (1000 / PER_SECOND) + 3_600_000)];
}

function trade(id, symbol, price, qty, afterMs) {
  const at = new Date(START_MS + Math.floor(Math.max(0, afterMs))).toISOString();
  const fields = { id, symbol, price, qty, side: id % 2 === 0 ? "buy" : "sell", venue: `v${id % 7}`, at, note: "" };
  return { ...fields, note: "x".repeat(Math.max(0, TRADE_BYTES - JSON.stringify(fields).length)) };
}

/** Symbols, of which the first are the most frequent. */
function zipf(random) {
  const weights = Array.from({ length: SYMBOLS }, (_, i) => 1 / (i + 1) ** ZIPF);
  const sum = weights.reduce((a, b) => a + b);
  let up = 0;
  const bounds = weights.map((weight) => {
    up += weight / sum;
    return up;
  });
  return () => {
    const at = random();
    let [low, high] = [0, SYMBOLS - 1];
    while (low < high) {
      const mid = (low + high) >> 1;
      if ((bounds[mid] ?? 1) < at) low = mid + 1;
      else high = mid;
    }
    return `S${low}`;
  };
}

/** Key and value of a message, a line each trade. */
export function writeTrades(path, trades) {
  writeFileSync(path, trades.map((each) => `${each.symbol}\t${JSON.stringify(each)}\n`).join(""));
}

/** What must come out of windows, by `symbol start`, each with the index of the trade by which its window closes. */
export function expectedWindows(trades) {
  const totals = new Map();
  const closedBy = new Map();
  let newest = 0;
  for (const [i, { symbol, price, qty, at }] of trades.entries()) {
    const atMs = Date.parse(at);
    newest = Math.max(newest, atMs);
    for (const start of [...closedBy.keys()]) {
      if (closedBy.get(start) === undefined && newest - WATERMARK_MS >= start + WINDOW_MS) closedBy.set(start, i);
    }
    if (qty < QTY_MIN || symbol === "END") continue;
    const start = atMs - (atMs % WINDOW_MS);
    if (!closedBy.has(start)) closedBy.set(start, undefined);
    const key = `${symbol} ${start}`;
    const { value = NO_TRADES } = totals.get(key) ?? {};
    totals.set(key, { start, value: withTrade(value, price, qty) });
  }
  return new Map([...totals].map(([key, { start, value }]) => [key, { value, by: closedBy.get(start) }]));
}

const NO_TRADES = { n: 0, sum: 0, low: Number.POSITIVE_INFINITY, high: 0 };

const withTrade = ({ n, sum, low, high }, price, qty) => ({
  n: n + 1,
  sum: sum + price * qty,
  low: Math.min(low, price),
  high: Math.max(high, price),
});

/** Trades that are kept, by id, which is the index too. */
export function expectedTrades(trades) {
  const kept = trades.filter(({ qty }) => qty >= QTY_MIN);
  return new Map(
    kept.map(({ id, symbol, price, qty, at, note }) => [
      id,
      { value: { symbol, value: price * qty, at, note }, by: id },
    ]),
  );
}
