/**
 * Runs the flights demo on two hosts with a broker between them, and kills one of the hosts or the broker with SIGKILL at random
 * moments; what was killed starts again on what it had on disk. In the end the sink's file must have the bytes, and the
 * projection the rows, of an uninterrupted run in one process; both logs must be what was signed of them.
 *
 *   node ops/test/faults/edge-kill.mjs [kills = 50] [nats | kafka] [--seed N] [--rows N]
 *
 * Without a broker's name it does so for both. `--rows`: only the first flights, for a machine that has little time. Needs a build and the brokers (`npm test` installs both). A line of stdout for each
 * broker counts kills, finished runs and differences; the exit code is 1 if there is any.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { allowTypeScript } from "../../bin/typescript.mjs";
import { DEMO, differencesOf, finishDemo, resultOf, seeded, sliceDemo, startDemo } from "./demo-run.mjs";

/** Nearly every edge leads from one to the other: the stateless nodes of a lane, too, and back from the calculator to the file. */
const NODES = { first: "flights,located,scored,board", second: "late,by-airport,file" };
const VICTIMS = ["first", "second", "broker"];
/** Kills of one run: late ones meet state that earlier ones left behind. */
const KILLS_PER_RUN_MAX = 10;
/** Part of an uninterrupted run that passes between two kills, at most. */
const PAUSE_MAX = 0.4;
/** How long a run may take after its last kill: so many uninterrupted ones, and so long beside. */
const PATIENCE = { runs: 10, ms: 300_000 };

/**
 * @typedef {object} Broker
 * @property {"nats" | "kafka"} via
 * @property {string} address
 * @property {() => Promise<void>} kill ends it as a crash would
 * @property {() => Promise<void>} start starts it again with what it had on disk
 */

/** Nothing goes on when this process ends early. */
const running = new Set();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(130));

/** The demo on two hosts; each of them is started again when it was killed, and has ended when it ended by itself. */
class TwoHosts {
  #graph;
  #edges;
  #root;
  #running = new Map();

  constructor(graph, { via, address }, root) {
    this.#graph = graph;
    this.#edges = `${via}://${address}/${root.split("/").at(-1)}`;
    this.#root = root;
    for (const host of Object.keys(NODES)) this.#start(host);
  }

  get isOver() {
    return [...this.#running.values()].every(({ child }) => child.exitCode !== null);
  }

  /** True if it was there to be killed. */
  async kill(host) {
    const { child, exited } = this.#running.get(host);
    if (child.exitCode !== null) return false;
    child.kill("SIGKILL");
    await exited;
    this.#start(host);
    return true;
  }

  /** Waits until both have ended by themselves; says what is wrong if they do not, or not well. */
  async ended(withinMs) {
    const all = [...this.#running].map(async ([host, { exited }]) => {
      const { code, output } = await exited;
      return code === 0 ? [] : [`the ${host} host ended with ${code}: ${output}`];
    });
    const late = new AbortController();
    const tooLate = sleep(withinMs, [["the hosts have not ended"]], { signal: late.signal });
    const wrong = (await Promise.race([Promise.all(all), tooLate])).flat();
    late.abort();
    tooLate.catch(() => undefined);
    return wrong;
  }

  result() {
    return resultOf(join(this.#root, "first"), join(this.#root, "second"));
  }

  async stop() {
    for (const { child, exited } of this.#running.values()) {
      child.kill("SIGKILL");
      await exited;
    }
  }

  #start(host) {
    const options = ["--edges", this.#edges, "--nodes", NODES[host]];
    const started = startDemo(this.#graph, join(this.#root, host), options);
    this.#running.set(host, started);
    running.add(started.child);
    started.child.once("exit", () => running.delete(started.child));
  }
}

/**
 * `graph`: a graph file with the nodes of the demo. Default: the demo.
 *
 * @param {{ broker: Broker, kills: number, seed?: number, graph?: string, progress?: (line: string) => void }} options
 */
export async function killEdges({ broker, kills, seed = Date.now() % 1e6, graph = DEMO, progress = () => undefined }) {
  const root = mkdtempSync(join(tmpdir(), "millrace-edge-kill-"));
  const random = seeded(seed);
  const done = { first: 0, second: 0, broker: 0 };
  const count = () => done.first + done.second + done.broker;
  try {
    await finishDemo(graph, join(root, "local"));
    const expected = await resultOf(join(root, "local"));
    const started = performance.now();
    const differences = await finishedRun(join(root, "run0"), expected, async () => undefined, PATIENCE.ms);
    const runMs = performance.now() - started;
    let runs = 1;
    while (count() < kills && differences.length === 0) {
      const wanted = Math.min(kills - count(), 1 + Math.floor(random() * KILLS_PER_RUN_MAX));
      const interfere = async (hosts) => {
        for (let kill = 0; kill < wanted && !hosts.isOver; kill++) {
          const victim = VICTIMS[Math.floor(random() * VICTIMS.length)];
          await sleep(random() * runMs * PAUSE_MAX);
          if (hosts.isOver) break;
          if (victim === "broker") await crash(broker);
          else if (!(await hosts.kill(victim))) continue;
          done[victim]++;
        }
      };
      const data = join(root, `run${runs++}`);
      differences.push(...(await finishedRun(data, expected, interfere, PATIENCE.runs * runMs + PATIENCE.ms)));
      progress(`${broker.via}: ${count()} kills, ${runs} runs, ${differences.length} differences`);
    }
    return { via: broker.via, kills: count(), done, runs, differences, rows: expected.rows, seed };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }

  /** One run on two hosts while `interfere` does what it does; what is different in the end. */
  async function finishedRun(data, expected, interfere, patienceMs) {
    const hosts = new TwoHosts(graph, broker, data);
    try {
      await interfere(hosts);
      const wrong = await hosts.ended(patienceMs);
      return wrong.length > 0 ? wrong : differencesOf(await hosts.result(), expected, data);
    } finally {
      await hosts.stop();
      rmSync(data, { recursive: true, force: true });
    }
  }
}

async function crash(broker) {
  await broker.kill();
  await broker.start();
}

/** @param {Awaited<ReturnType<typeof killEdges>>} result */
export function edgeKillLine({ via, kills, done, runs, rows, differences, seed }) {
  const whom = `${done.broker} of the broker, ${done.first} + ${done.second} of the hosts`;
  return `edge-kill ${via}: ${kills} kills (${whom}) in ${runs} runs of ${rows} rows, ${differences.length} differences, seed ${seed}`;
}

/** The newest broker of a kind that this machine has; how to stop it, too. */
async function startBroker(via) {
  const { startNats, natsServers } = await import("../../services/nats-server.ts");
  const { KafkaServer, kafkaKinds } = await import("../../services/kafka-server.ts");
  const kind = (via === "nats" ? natsServers() : kafkaKinds()).at(-1);
  if (kind === undefined) throw new Error(`there is no ${via} server (npm test installs it)`);
  const server = via === "nats" ? await startNats(kind) : await KafkaServer.start(kind, { restarts: true });
  const { address } = server;
  return { via, address, kill: () => server.kill(), start: () => server.start(), stop: () => server.stop() };
}

async function main() {
  allowTypeScript();
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { seed: { type: "string" }, rows: { type: "string" } },
  });
  const [kills = "50", only] = positionals;
  const folder = mkdtempSync(join(tmpdir(), "millrace-edge-slice-"));
  try {
    const graph = values.rows === undefined ? DEMO : await sliceDemo(folder, Number(values.rows));
    const seed = values.seed === undefined ? {} : { seed: Number(values.seed) };
    for (const via of only === undefined ? ["nats", "kafka"] : [only]) {
      const broker = await startBroker(via);
      const progress = (line) => process.stderr.write(`${line}\n`);
      const result = await killEdges({ broker, kills: Number(kills), graph, progress, ...seed }).finally(broker.stop);
      for (const difference of result.differences) process.stderr.write(`${difference}\n`);
      console.log(edgeKillLine(result));
      if (result.differences.length > 0) process.exitCode = 1;
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
