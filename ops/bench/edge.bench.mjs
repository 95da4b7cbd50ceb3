/**
 * Edges between hosts over NATS and Kafka against what one would write by hand on the same server in the same run. The edge is
 * the durable one that `via` leads over: rows are encoded as frames, published, delivered, decoded, every row read as an actor
 * would, and acknowledged. Rates of rows by the clock, medians, interleaved; each row is 128 bytes as JSON:
 *
 * - `bareNats`: to the client's own publish and subscribe without JetStream, a message for each row, bytes that nobody encodes
 * - `bareNatsFramed`: to the same with 1024 rows in a message, split by hand
 * - `jetStreamAwait`: to awaiting the publication of each row by JetStream
 * - `bareKafkajs`: to batches of 1024 messages, a message for each row, with the client's own producer and consumer
 *
 * Then whole graphs between two topics of Kafka, as `millrace run` has them, against the same in other engines, each in a process of
 * its own. What all write is compared with what must come out. Trades per second, from the first row that can come to the last:
 *
 * - `kafkaStreamsEos`: a window of ten seconds for each key, to Kafka Streams (`exactly_once_v2`, one thread)
 * - `bytewax`: the same to Bytewax with recovery
 * - `redpandaConnect`: filter and map, to Redpanda Connect: the core of it, Benthos, with franz-go for the topics
 */
import { allowTypeScript } from "../bin/typescript.mjs";
import { FRAME_ROWS, ROW_BYTES } from "./edge/edge-rows.mjs";
import { compareEngines } from "./edge/engines.mjs";
import { kafkaPeers } from "./edge/kafka-edges.mjs";
import { keptTrades } from "./edge/kept-trades.mjs";
import { natsPeers } from "./edge/nats-edges.mjs";
import { buildEngines } from "./edge/peers.mjs";
import { Topics } from "./edge/topics.mjs";
import { tradeWindows } from "./edge/trade-windows.mjs";
import { measure } from "./measure.mjs";

allowTypeScript();
const { natsServers, startNats } = await import("../services/nats-server.ts");
const { KafkaServer, kafkaKinds } = await import("../services/kafka-server.ts");

/** The rates of one broker's edge and of what is by hand, as lines, and what the edge's is of the others'. */
async function compare(peers, repeats) {
  const variants = Object.entries(peers).map(([name, { n, run }]) => {
    return { name, n, run: (k) => run(Math.ceil(k / FRAME_ROWS) * FRAME_ROWS) };
  });
  try {
    const figures = [...(await measure(variants, { repeats, by: "wall" }))];
    for (const [name, { ns, min, max }] of figures) {
      const [rate, low, high] = [ns, max, min].map((each) => Math.round(1e9 / each).toLocaleString("en"));
      process.stdout.write(`  ${name.padEnd(40)} ${rate.padStart(12)}/s  [${low} … ${high}]\n`);
    }
    const [[, edge], ...others] = figures;
    const ratios = others.map(([name, { ns }]) => [name, Number((ns / edge.ns).toPrecision(3))]);
    return { rowsPerSecond: Math.round(1e9 / edge.ns), ratios: Object.fromEntries(ratios) };
  } finally {
    await Promise.all(Object.values(peers).map(({ close }) => close()));
  }
}

const TRADES = 200_000;

/** What engines make of a graph, as lines and figures, and what Millrace's rate is of the others'. */
async function engines(topics, graph, repeats) {
  const figures = await compareEngines({ topics, graph, trades: TRADES, repeats });
  for (const [name, { perSecond, range, cpuSecondsPerMillion, rssMiB, p99MsAtHalfRate }] of figures) {
    const rate = `${perSecond.toLocaleString("en").padStart(12)}/s  [${range.map((each) => each.toLocaleString("en")).join(" … ")}]`;
    const delay = p99MsAtHalfRate === undefined ? "" : `, p99 ${p99MsAtHalfRate} ms at half the rate`;
    process.stdout.write(
      `  ${name.padEnd(40)} ${rate}, ${cpuSecondsPerMillion} s of CPU per million, ${rssMiB} MiB${delay}\n`,
    );
  }
  const [[, millrace], ...others] = figures;
  const ratios = others.map(([name, { perSecond }]) => [name, Number((millrace.perSecond / perSecond).toPrecision(3))]);
  return { figures: Object.fromEntries(figures), ratios: Object.fromEntries(ratios) };
}

/** Both graphs between topics of one broker. */
async function overTopics(address, repeats) {
  const topics = await Topics.connect(address);
  try {
    const windows = await engines(topics, tradeWindows, repeats);
    const kept = await engines(topics, keptTrades, repeats);
    return { windows, kept };
  } finally {
    await topics.close();
  }
}

const LACKS = "this bench needs nats-server and Kafka (npm test installs them)";

/** @param {{ repeats?: number }} options */
export async function main({ repeats = 5 } = {}) {
  const [natsKind, kafkaKind] = [natsServers().at(-1), kafkaKinds().at(-1)];
  if (natsKind === undefined || kafkaKind === undefined) throw new Error(LACKS);
  buildEngines();
  process.stdout.write(`edge   node ${process.version}, rows of ${ROW_BYTES} B per second, medians of ${repeats}\n`);
  const nats = await startNats(natsKind);
  const kafka = await KafkaServer.start(kafkaKind);
  try {
    const overNats = await compare(await natsPeers(nats.address), repeats);
    const overKafka = await compare(await kafkaPeers(kafka.address), repeats);
    const { windows, kept } = await overTopics(kafka.address, repeats);
    return {
      rowsPerSecond: overNats.rowsPerSecond,
      rowsPerSecondKafka: overKafka.rowsPerSecond,
      ratios: { ...overNats.ratios, ...overKafka.ratios, ...windows.ratios, ...kept.ratios },
      engines: { windows: windows.figures, kept: kept.figures },
    };
  } finally {
    await Promise.all([nats.stop(), kafka.stop()]);
  }
}
