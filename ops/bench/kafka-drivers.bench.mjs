/**
 * Whether another library than kafkajs would serve the Kafka connectors and edges better: @platformatic/kafka, both as Millrace uses
 * kafkajs, its requests and codecs below a driver of Millrace's own, and by the producers and consumers that it does without. One broker,
 * one partition, idempotent, acknowledged by all replicas; interleaved in one run, each time in a process of its own, whose CPU time is
 * counted; medians.
 *
 * - `produceRows`, `readRows`: a key, 128 bytes of JSON and a header; 1024 in a batch, the next one when the one before is there
 * - `produceFrames`, `readFrames`: frames of an edge, 32 KiB each, 8 in a batch
 * - `transactions`: 100 rows in one; those of whole clients also bring an offset of a group, which Millrace keeps in its own log
 * - `paced`: a frame every 5 ms, from when it was due to when the reader of the partition had it
 * - `abortedRead`: how many of three records of aborted transactions a whole consumer gives that is to read committed ones
 */
import { fork } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import { allowTypeScript } from "../bin/typescript.mjs";
import { FRAMES_READ, FRAMES_WAITING, ROWS, ROWS_READ, TOPIC, TRANSACTIONS } from "./kafka-drivers/records.mjs";
import { median } from "./measure.mjs";

allowTypeScript();
const { KafkaServer, kafkaKinds } = await import("../services/kafka-server.ts");
const { Kafka, logLevel } = createRequire(import.meta.resolve("@millrace/streams/kafka"))("kafkajs");

const DIRECTORY = join(import.meta.dirname, "kafka-drivers");
const CLIENTS = ["kafkajs-requests", "platformatic-requests", "kafkajs-whole", "platformatic-whole"];
const ABORTED = "aborted";
const figure = (number) => Number(number.toPrecision(3));

/** What one client makes of everything, in a process of its own. */
function runApart(address, name) {
  const child = fork(join(DIRECTORY, "one-client.mjs"), [address, name], { execArgv: ["--expose-gc"] });
  return new Promise((resolve, reject) => {
    child.once("message", resolve);
    child.once("exit", (code) => reject(new Error(`${name} ended with ${code} before it had figures`)));
  });
}

async function compare(address, repeats) {
  const runs = new Map(CLIENTS.map((name) => [name, []]));
  for (let r = 0; r < repeats; r++) for (const [name, of] of runs) of.push(await runApart(address, name));
  const figures = {};
  for (const what of Object.keys(runs.get(CLIENTS[0])[0])) {
    figures[what] = {};
    for (const [name, of] of runs) {
      figures[what][name] = summary(of.map((run) => run[what]));
      show(what, name, figures[what][name]);
    }
  }
  return figures;
}

function summary(runs) {
  const failed = runs.find(({ fails }) => fails !== undefined);
  if (failed !== undefined) return failed;
  const [{ p99Ms }] = runs;
  if (p99Ms === undefined) {
    const rates = runs.map(({ wallNs }) => figure(1e9 / wallNs));
    const cpuMicros = figure(median(runs.map(({ cpuNs }) => cpuNs)) / 1e3);
    return { perSecond: figure(median(rates)), range: [Math.min(...rates), Math.max(...rates)], cpuMicros };
  }
  const [p50, p99] = ["p50Ms", "p99Ms"].map((key) => runs.map((run) => figure(run[key])));
  return { p50Ms: figure(median(p50)), p99Ms: figure(median(p99)), p99Runs: p99 };
}

function show(what, name, { fails, perSecond, range, cpuMicros, p50Ms, p99Ms, p99Runs }) {
  const text = (number) => number.toLocaleString("en");
  const line =
    fails ??
    (perSecond === undefined
      ? `p50 ${p50Ms} ms, p99 ${p99Ms} ms  [${p99Runs.join(", ")}]`
      : `${text(perSecond).padStart(9)}/s  ${`[${range.map(text).join(" … ")}]`.padEnd(22)}  ${text(cpuMicros)} µs of CPU each`);
  process.stdout.write(`  ${what.padEnd(14)} ${name.padEnd(22)} ${line}\n`);
}

/** Three transactions of one producer that are aborted, then one that is not. */
async function writeAborted(kafka) {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1, transactionalId: ABORTED });
  await producer.connect();
  for (const value of ["aborted", "aborted", "aborted", "committed"]) {
    const transaction = await producer.transaction();
    await transaction.send({ topic: ABORTED, messages: [{ value }] });
    await (value === "committed" ? transaction.commit() : transaction.abort());
  }
  await producer.disconnect();
}

/** How many of these a consumer gives before the record that is committed. */
async function abortedRead(address, name) {
  const { open } = await import(`./kafka-drivers/${name}.mjs`);
  const client = await open({ address, topic: ABORTED, transactions: TRANSACTIONS });
  const values = [];
  let done = () => undefined;
  const came = new Promise((resolve) => {
    done = resolve;
  });
  const stop = await client.read(0, ({ value }) => {
    values.push(String(value));
    if (values.at(-1) === "committed") done();
  });
  await came;
  await stop();
  await client.close();
  const aborted = values.filter((value) => value === "aborted").length;
  process.stdout.write(`  ${"abortedRead".padEnd(14)} ${name.padEnd(22)} ${aborted} of 3\n`);
  return [name, aborted];
}

/** The topics, and what all read. */
async function prepare(kafka) {
  const [admin, producer] = [kafka.admin(), kafka.producer()];
  await Promise.all([admin.connect(), producer.connect()]);
  await admin.createTopics({ topics: [TOPIC, TRANSACTIONS, ABORTED].map((topic) => ({ topic, numPartitions: 1 })) });
  // It waits until the broker has ids for producers.
  await writeAborted(kafka);
  for (const [batch, n] of [
    [ROWS, ROWS_READ],
    [FRAMES_WAITING, FRAMES_READ],
  ])
    for (let sent = 0; sent < n; sent += batch.length) await producer.send({ topic: TOPIC, messages: batch });
  await Promise.all([admin.disconnect(), producer.disconnect()]);
}

/** @param {{ repeats?: number }} options */
export async function main({ repeats = 5 } = {}) {
  const kind = kafkaKinds().at(-1);
  if (kind === undefined) throw new Error("this bench needs Kafka (npm test installs it)");
  const server = await KafkaServer.start(kind);
  process.stdout.write(`kafka-drivers   node ${process.version}, Kafka ${kind.version}, medians of ${repeats}\n`);
  try {
    await prepare(new Kafka({ brokers: [server.address], logLevel: logLevel.NOTHING }));
    const figures = await compare(server.address, repeats);
    const read = [];
    for (const name of CLIENTS.slice(2)) read.push(await abortedRead(server.address, name));
    return { ...figures, abortedRead: Object.fromEntries(read) };
  } finally {
    await server.stop();
  }
}
