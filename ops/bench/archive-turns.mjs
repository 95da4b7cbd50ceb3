/**
 * How long a host is kept from its graphs while it archives a segment beside them: the longest turn of its thread by time of the
 * processor, which busy neighbours do not change, and the longest delay of a timer by the clock, which they do.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout } from "node:timers/promises";
import { systemEnv } from "@millrace/engine";
import { openData } from "../dist/host/open-data.js";
import { OpenLogCare } from "../dist/retention/open-log-care.js";
import { benchContext } from "./bench-context.mjs";

const STREAMS = 1024;
const EVENTS_PER_APPEND = 20;
const APPENDS_AT_ONCE = 50;
const env = systemEnv();

/** @returns {Promise<{ segments: number, longestTurnCpuMs: number | null, longestDelayMs: number, ms: number }>} */
export async function archiveTurns() {
  const directory = mkdtempSync(join(tmpdir(), "millrace-archive-"));
  const onFatal = (error) => {
    throw error;
  };
  const data = await openData({ path: directory, env, onFatal });
  try {
    await fillSegment(data.log);
    await Promise.all([data.log.indexed(), data.audit.signed(data.log.durableEnd)]);
    const care = new OpenLogCare({ data, env, projections: { reached: async () => undefined } });
    return await measured(() => care.archive({ beforeMs: Number.MAX_SAFE_INTEGER, parquet: true, keep: false }));
  } finally {
    await data.close();
    rmSync(directory, { recursive: true });
  }
}

async function fillSegment(log) {
  for (let i = 0; log.health.activeSegment < 2; i += APPENDS_AT_ONCE * EVENTS_PER_APPEND) {
    const appends = Array.from({ length: APPENDS_AT_ONCE }, (_, k) => appendOf(i + k * EVENTS_PER_APPEND));
    await Promise.all(appends.map((append) => log.append([append])));
  }
}

function appendOf(first) {
  const events = Array.from({ length: EVENTS_PER_APPEND }, (_, k) => eventOf(first + k));
  return { stream: `order-${(first / EVENTS_PER_APPEND) % STREAMS}`, expected: "any", events };
}

function eventOf(i) {
  const id = Buffer.alloc(16);
  id.writeUInt32BE(i + 1, 0);
  const context = benchContext(id, id);
  return { id, type: `Type${i % 8}`, schemaVersion: 1, context, payload: Buffer.alloc(150, i) };
}

async function measured(work) {
  const delays = monitorEventLoopDelay({ resolution: 1 });
  const started = performance.now();
  let longestCpuMs = 0;
  let isDone = false;
  delays.enable();
  const turning = (async () => {
    for (let before = cpuMs(); !isDone; ) {
      // Not at once: a thread that spins is put aside for that alone.
      await setTimeout(1);
      const now = cpuMs();
      longestCpuMs = Math.max(longestCpuMs, now - before);
      before = now;
    }
  })();
  const { segments } = await work();
  isDone = true;
  await turning;
  delays.disable();
  return {
    segments: segments.length,
    longestTurnCpuMs: Number.isNaN(longestCpuMs) ? null : Number(longestCpuMs.toFixed(1)),
    longestDelayMs: Number((delays.max / 1e6).toFixed(1)),
    ms: Math.round(performance.now() - started),
  };
}

/** Of the main thread; NaN where the system does not tell. */
function cpuMs() {
  try {
    return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, "latin1").split(" ")[0]) / 1e6;
  } catch {
    return Number.NaN;
  }
}
