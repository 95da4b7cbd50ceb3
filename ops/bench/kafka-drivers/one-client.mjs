/** One client in a process of its own: what it does with rows, frames and transactions, and its round trips. Tells its parent. */
import { setTimeout as sleep } from "node:timers/promises";
import { FRAMES_READ, FRAMES_WAITING, ROWS, ROWS_READ, TOPIC, TRANSACTIONS } from "./records.mjs";

const ROWS_RUN = 20 * ROWS.length;
const FRAMES_RUN = 25 * FRAMES_WAITING.length;
const TRANSACTION_ROWS = ROWS.slice(0, 100);
const TRANSACTIONS_RUN = 50;
const WARM_RUNS = 2;
const MEASURED_RUNS = 3;
const PACED_MS = 5;
const PACED_SECONDS = 4;
/** What a stall has made wait goes together, as far as a batch may. */
const PACED_BATCH_MAX = 16;
/** The part of a paced run in which compilers and caches settle. */
const SETTLING = 1 / 4;

/** Writes records, a batch when the one before is there. */
async function write(client, batch, n) {
  for (let sent = 0; sent < n; sent += batch.length) await client.produce(batch);
}

/** Reads records from an offset on, none left out and none twice. */
async function read(client, from, n) {
  let next = from;
  let done = () => undefined;
  const came = new Promise((resolve) => {
    done = resolve;
  });
  const stop = await client.read(from, ({ offset, value }) => {
    // Others are of a fetch that was under way.
    if (offset === next && value.length > 0 && ++next === from + n) done();
  });
  await came;
  await stop();
}

async function transact(client, n) {
  for (let i = 0; i < n; i++) await client.transact(TRANSACTION_ROWS, i + 1);
}

const OPERATIONS = {
  produceRows: { n: ROWS_RUN, run: (client, n) => write(client, ROWS, n) },
  readRows: { n: ROWS_READ, run: (client, n) => read(client, 0, n) },
  produceFrames: { n: FRAMES_RUN, run: (client, n) => write(client, FRAMES_WAITING, n) },
  readFrames: { n: FRAMES_READ, run: (client, n) => read(client, ROWS_READ, n) },
  transactions: { n: TRANSACTIONS_RUN, run: transact },
};

/** Nanoseconds of one, by the clock and of this process. */
async function measured(client, { n, run }) {
  for (let i = 0; i < WARM_RUNS; i++) await run(client, n);
  globalThis.gc?.();
  const before = process.cpuUsage();
  const started = process.hrtime.bigint();
  for (let i = 0; i < MEASURED_RUNS; i++) await run(client, n);
  const wallNs = Number(process.hrtime.bigint() - started) / (n * MEASURED_RUNS);
  const { user, system } = process.cpuUsage(before);
  return { wallNs, cpuNs: ((user + system) * 1000) / (n * MEASURED_RUNS) };
}

/** Ms from when each of evenly due frames was due to when it was read. */
async function paced(client) {
  const end = await client.produce(FRAMES_WAITING.slice(0, 1));
  const total = (PACED_SECONDS * 1000) / PACED_MS;
  const [ages, began] = [[], performance.now()];
  let done = () => undefined;
  const came = new Promise((resolve) => {
    done = resolve;
  });
  const stop = await client.read(end, ({ offset }) => {
    if (offset !== end + ages.length) return;
    ages.push(performance.now() - began - ages.length * PACED_MS);
    if (ages.length === total) done();
  });
  for (let sent = 0; sent < total; ) {
    const due = Math.min(total, Math.floor((performance.now() - began) / PACED_MS) + 1) - sent;
    const n = Math.min(due, PACED_BATCH_MAX);
    if (n > 0) await client.produce(Array.from({ length: n }, () => FRAMES_WAITING[0]));
    else await sleep(1);
    sent += Math.max(n, 0);
  }
  await came;
  await stop();
  const settled = ages.slice(Math.floor(ages.length * SETTLING)).sort((a, b) => a - b);
  return { p50Ms: settled[settled.length >> 1], p99Ms: settled[Math.floor(settled.length * 0.99)] };
}

const [address, name] = process.argv.slice(2);
const { open } = await import(`./${name}.mjs`);
const client = await open({ address, topic: TOPIC, transactions: TRANSACTIONS });
const figures = {};
for (const [what, operation] of Object.entries(OPERATIONS)) {
  try {
    figures[what] = await measured(client, operation);
  } catch (error) {
    figures[what] = { fails: error.errors?.[0]?.apiId ?? error.message };
  }
}
figures.paced = await paced(client);
// Or its group waits for it when the next one comes.
await client.close();
process.send(figures, () => process.exit(0));
