/**
 * What the embedded log's followers cost its appends: the log without any, with its index, and with index and Merkle tree, in one
 * process, in turns. A window is long against what followers lag behind, so that they work in it as much as its events ask for: how many
 * events they are behind in its middle and at its end shows whether they keep pace. Ratios are medians of those of the rounds, CPU times of the
 * appending thread and of all threads of the process.
 */
import fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openEmbedded, threadCpuUs } from "./log.bench.mjs";
import { median } from "./measure.mjs";

const APPENDERS = 1024;
/** Until threads have started, code is compiled, and the index is as far behind as it lets itself be: from then on it takes no rests. */
const WARM_UP_MS = 4000;
const REFUSED_MS = 50;
const SETUPS = new Map([
  ["log alone", { followed: false }],
  ["with its index", { treed: false }],
  ["with index and tree", {}],
]);
const [ALONE, INDEXED, FOLLOWED] = [...SETUPS.keys()];

const after = (delayMs) => new Promise((resolve) => setTimeout(resolve, delayMs));

/** Appends until the window ends, each caller one after the other. */
async function windowOf({ log, tree, appender }, windowMs) {
  let count = 0;
  let refused = 0;
  let ended = false;
  const caller = async (number) => {
    const append = appender(number);
    for (let i = number; !ended; i += APPENDERS) {
      try {
        await append(i);
        count++;
      } catch (thrown) {
        // A disk that is busy otherwise may hold the index back so long that the log takes no more for a while.
        if (thrown.code !== "LOG-LAG") throw thrown;
        refused++;
        await after(REFUSED_MS);
      }
    }
  };
  const behind = () => ({ index: log.health.indexLag, tree: tree?.status().lag ?? 0 });
  const callers = Promise.all(Array.from({ length: APPENDERS }, (_, number) => caller(number)));
  await after(WARM_UP_MS);
  const [startCount, startMs, startCpu, startOwnUs] = [count, performance.now(), process.cpuUsage(), threadCpuUs()];
  await after(windowMs / 2);
  const half = behind();
  await after(windowMs / 2);
  const [events, ms, cpu] = [count - startCount, performance.now() - startMs, process.cpuUsage(startCpu)];
  const ownUs = (threadCpuUs() - startOwnUs) / events;
  const end = behind();
  ended = true;
  await callers;
  return { rate: (events * 1000) / ms, ownUs, cpuUs: (cpu.user + cpu.system) / events, half, end, refused };
}

async function measured(setup, windowMs) {
  const directory = fs.mkdtempSync(join(tmpdir(), "millrace-followers-bench-"));
  const store = await openEmbedded(directory, SETUPS.get(setup));
  globalThis.gc?.();
  const window = await windowOf(store, windowMs);
  await store.close();
  fs.rmSync(directory, { recursive: true });
  return window;
}

async function windowsOf(repeats, windowMs) {
  const names = [...SETUPS.keys()];
  const windows = new Map(names.map((name) => [name, []]));
  // The first round warms up code, page cache and journal.
  for (let round = 0; round <= repeats; round++) {
    // Each set-up is first, second and last in turn.
    for (let i = 0; i < names.length; i++) {
      const name = names[(round + i) % names.length];
      const window = await measured(name, round === 0 ? 500 : windowMs);
      if (round > 0) windows.get(name).push(window);
    }
  }
  return windows;
}

/** What is said of the windows of one set-up. */
function figuresOf(windows) {
  const medianOf = (figure) => median(windows.map(figure));
  const us = (figure) => Number(medianOf(figure).toFixed(2));
  const lagOf = (who) => ({ half: medianOf(({ half }) => half[who]), end: medianOf(({ end }) => end[who]) });
  return {
    eventsPerSecond: Math.round(medianOf(({ rate }) => rate)),
    range: [Math.min(...windows.map(({ rate }) => rate)), Math.max(...windows.map(({ rate }) => rate))].map(Math.round),
    cpuUsPerEvent: { appending: us(({ ownUs }) => ownUs), all: us(({ cpuUs }) => cpuUs) },
    behind: { index: lagOf("index"), tree: lagOf("tree") },
    refused: windows.reduce((sum, { refused }) => sum + refused, 0),
  };
}

const count = (value) => Math.round(value).toLocaleString("en");

function line(name, { eventsPerSecond, range, cpuUsPerEvent, behind, refused }, ratio) {
  const lag = Object.entries(behind).map(([who, { half, end }]) => `${who} ${count(half)} then ${count(end)}`);
  const lagText = name === ALONE ? "" : `   behind: ${lag.join(", ")}${refused > 0 ? `; ${refused} refused` : ""}`;
  const cpu = `${cpuUsPerEvent.appending.toFixed(2)} of ${cpuUsPerEvent.all.toFixed(2)} µs`;
  return `  ${name.padEnd(20)} ${count(eventsPerSecond).padStart(8)}/s  ×${ratio.toFixed(3)} [${range.map(count).join(" … ")}]  ${cpu}${lagText}`;
}

/** @param {{ repeats?: number, seconds?: number }} options rounds, and the length of a window */
export async function main({ repeats = 5, seconds = 5 } = {}) {
  const windows = await windowsOf(repeats, seconds * 1000);
  const figures = Object.fromEntries(Array.from(windows, ([name, some]) => [name, figuresOf(some)]));
  const alone = windows.get(ALONE);
  const ratio = (name) =>
    Number(median(windows.get(name).map(({ rate }, round) => rate / alone[round].rate)).toFixed(3));
  const lines = Object.entries(figures).map(([name, some]) => line(name, some, ratio(name)));
  process.stdout.write(
    `followers   node ${process.version}, ${APPENDERS} appenders, medians of ${repeats} windows of ${seconds} s\n${lines.join("\n")}\n`,
  );
  return { figures, ratios: { followers: ratio(FOLLOWED), index: ratio(INDEXED) } };
}
