/**
 * Edges between hosts over NATS and Kafka against what one would write by hand on the same server in the same run. Rates of rows by
 * the clock, medians, interleaved; each row is 128 bytes as JSON. Both ends are in one process, by hand and not.
 *
 * What frames cost and save over core NATS: rows are encoded as edges encode them, published, delivered, decoded, and read by a filter.
 * Graphs have no edges over core NATS; theirs are the durable ones below. All to the bare client: its own publish and subscribe,
 * a message for each row, bytes that nobody encodes or reads:
 *
 * - `bareNats`: a row in each frame. What the frame holds beside the row, where it lies in its lane, has to be written and read, too
 * - `msgpackNats`, `jsonNats`: the same, but to the bare client with nothing but the row packed and unpacked by msgpackr, and with the
 *   row as JSON, which is what a row costs that somebody does encode and read
 * - `bareNatsFramed`: 1024 rows in a frame; each frame is made of objects, as behind a source of JSON
 * - `bareNatsColumns`: the same made of columns, as behind a file or a window
 *
 * The durable edge that `via` leads over, frames of 1024 rows, kept by the server until they are acknowledged:
 *
 * - `bareNatsDurable`: over JetStream, to the bare client of core NATS, which keeps nothing
 * - `jetStreamAwait`: over JetStream, to awaiting the publication of each row
 * - `bareKafkajs`: over Kafka, to batches of 1024 messages, a message for each row, with the client's own producer and consumer
 *
 * `p99MsAtHalfRate` of these: rows come evenly at half of that rate, a frame waits at most 5 ms for its rows; from when a frame's first
 * row came to when the actor had it. The median of as many runs as there are repeats. `p99MsByHand`: the same with the bare client, in
 * turns at the same rate: messages as large, which nobody encodes or reads, published, acknowledged and consumed over JetStream and over
 * Kafka. Both ends, the broker and whatever else the machine runs share its processors: what both figures have in common is the wait
 * for them, and only what is above it is the edge's.
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
import { KAFKA_RATIOS, kafkaPeers } from "./edge/kafka-edges.mjs";
import { keptTrades } from "./edge/kept-trades.mjs";
import { DURABLE, NATS_RATIOS, natsPeers } from "./edge/nats-edges.mjs";
import { buildEngines } from "./edge/peers.mjs";
import { Topics } from "./edge/topics.mjs";
import { tradeWindows } from "./edge/trade-windows.mjs";
import { measure, median } from "./measure.mjs";

allowTypeScript();
const { natsServers, startNats } = await import("../services/nats-server.ts");
const { KafkaServer, kafkaKinds } = await import("../services/kafka-server.ts");

/** What the edges of one broker and what is by hand make of rows, as lines and figures, and the ratios of their rates. */
async function compare(peers, pairs, repeats) {
  const variants = Object.entries(peers).map(([name, { n, run }]) => {
    return { name, n, run: (k) => run(Math.ceil(k / FRAME_ROWS) * FRAME_ROWS) };
  });
  try {
    const measured = await measure(variants, { repeats, by: "wall" });
    const figures = {};
    for (const [name, { ns, min, max, cpuNs }] of measured) {
      const [perSecond, low, high] = [ns, max, min].map((each) => Math.round(1e9 / each));
      const cpuSecondsPerMillion = Number((cpuNs / 1e3).toPrecision(3));
      const p99 = await pacedFigures(peers[name], perSecond / 2, repeats);
      figures[name] = { perSecond, range: [low, high], cpuSecondsPerMillion, ...p99 };
      show(name, figures[name]);
    }
    const ratios = Object.entries(pairs).map(([key, [of, to]]) => {
      return [key, Number((measured.get(to).ns / measured.get(of).ns).toPrecision(3))];
    });
    return { figures, ratios: Object.fromEntries(ratios) };
  } finally {
    await Promise.all(Object.values(peers).flatMap(({ close, byHand }) => [close(), byHand?.close()]));
  }
}

/** The 99th percentile of each of several runs at a rate, and the median of these; the same of what is by hand, in turns. */
async function pacedFigures({ paced, byHand }, rate, repeats) {
  if (paced === undefined) return {};
  const [runs, runsByHand] = [[], []];
  for (let r = 0; r < repeats; r++) {
    runs.push(Number((await paced(rate)).toPrecision(3)));
    runsByHand.push(Number((await byHand.paced(rate)).toPrecision(3)));
  }
  const ofHand = { p99MsByHand: median(runsByHand), p99RunsByHand: runsByHand };
  return { p99MsAtHalfRate: median(runs), p99Runs: runs, ...ofHand };
}

/** One line of figures. */
function show(name, { perSecond, range, cpuSecondsPerMillion, rssMiB, p99MsAtHalfRate, p99MsByHand }) {
  const rate = `${perSecond.toLocaleString("en").padStart(12)}/s  [${range.map((each) => each.toLocaleString("en")).join(" … ")}]`;
  const memory = rssMiB === undefined ? "" : `, ${rssMiB} MiB`;
  const byHand = p99MsByHand === undefined ? "" : ` (by hand ${p99MsByHand} ms)`;
  const delay = p99MsAtHalfRate === undefined ? "" : `, p99 ${p99MsAtHalfRate} ms at half the rate${byHand}`;
  process.stdout.write(`  ${name.padEnd(40)} ${rate}, ${cpuSecondsPerMillion} s of CPU per million${memory}${delay}\n`);
}

const TRADES = 200_000;

/** What engines make of a graph, as lines and figures, and what Millrace's rate is of the others'. */
async function engines(topics, graph, repeats) {
  const figures = await compareEngines({ topics, graph, trades: TRADES, repeats });
  for (const [name, figure] of figures) show(name, figure);
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
    const overNats = await compare(await natsPeers(nats.address), NATS_RATIOS, repeats);
    const overKafka = await compare(await kafkaPeers(kafka.address), KAFKA_RATIOS, repeats);
    const { windows, kept } = await overTopics(kafka.address, repeats);
    return {
      rowsPerSecond: overNats.figures[DURABLE].perSecond,
      ratios: { ...overNats.ratios, ...overKafka.ratios, ...windows.ratios, ...kept.ratios },
      edges: { ...overNats.figures, ...overKafka.figures },
      edgeProcessMiB: Math.round(process.resourceUsage().maxRSS / 1024),
      engines: { windows: windows.figures, kept: kept.figures },
    };
  } finally {
    await Promise.all([nats.stop(), kafka.stop()]);
  }
}
