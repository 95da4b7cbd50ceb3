/** What a killed appender was told against what the log has. */
import { spawn } from "node:child_process";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { openLog, payloadOf } from "./log-appender.mjs";

const APPENDER = fileURLToPath(new URL("./log-appender.mjs", import.meta.url));

/** Everything acknowledged so far, over all incarnations. */
export class Acknowledged {
  #positions = new Map();
  #rest = "";

  get count() {
    return this.#positions.size;
  }

  /** Takes what an appender printed. */
  take(chunk) {
    const lines = (this.#rest + chunk).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      const [position, id] = line.split(" ");
      this.#positions.set(id, Number(position));
    }
  }

  /** A process that died in the middle of a line said nothing with it. */
  forgetRest() {
    this.#rest = "";
  }

  entries() {
    return this.#positions.entries();
  }
}

/** Starts an appender; what it prints goes to `acknowledged`. */
export function startAppender(directory, run, acknowledged, env = {}) {
  const child = spawn(process.execPath, [APPENDER, directory, String(run)], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  let said = "";
  child.stdout.setEncoding("latin1").on("data", (chunk) => acknowledged.take(chunk));
  const begun = new Promise((resolve) => child.stdout.once("data", resolve));
  child.stderr.on("data", (chunk) => {
    said += chunk;
  });
  const exited = new Promise((resolve) => {
    child.once("close", (code, signal) => {
      acknowledged.forgetRest();
      resolve({ code, signal, said });
    });
  });
  return { child, exited, begun: Promise.race([begun, exited]) };
}

/** Runs `round` with at most `most` of `count` at a time, each with a log of its own, and adds up what they found. */
export async function inRounds(count, most, round) {
  const total = {};
  for (let left = count; left > 0; left -= most) {
    const found = await round(Math.min(left, most));
    for (const [what, number] of Object.entries(found)) total[what] = (total[what] ?? 0) + number;
  }
  return total;
}

const LIFE_MS_MAX = 400;

/** A moment to die: while it appends, or, one time in three but not at first, while it still starts and recovers. */
export class Moments {
  #startMs;

  async next({ begun }) {
    if (this.#startMs !== undefined && Math.random() < 1 / 3) return wait(Math.random() * 1.2 * this.#startMs);
    const startedMs = performance.now();
    await begun;
    this.#startMs = performance.now() - startedMs;
    return wait(Math.random() * LIFE_MS_MAX);
  }
}

/** Opens the log as a host would after the crash and compares. Throws with the first thing that is wrong. */
export async function audit(directory, acknowledged) {
  const { log, close } = await openLog(directory, (error) => {
    throw error;
  });
  const positions = new Map();
  const heads = new Map();
  let next = 0;
  for await (const events of log.read()) {
    for (const event of events) {
      const id = Buffer.from(event.id);
      if (event.position !== next++) throw new Error(`position ${event.position} where ${next - 1} should be`);
      const head = (heads.get(event.stream) ?? -1) + 1;
      if (event.revision !== head)
        throw new Error(`${event.stream} has revision ${event.revision} where ${head} should be`);
      heads.set(event.stream, head);
      if (positions.has(id.toString("hex"))) throw new Error(`event ${id.toString("hex")} is there twice`);
      positions.set(id.toString("hex"), event.position);
      if (payloadOf(id).compare(event.payload) !== 0)
        throw new Error(`the payload at ${event.position} is not what was appended`);
    }
  }
  let lost = 0;
  for (const [id, position] of acknowledged.entries()) if (positions.get(id) !== position) lost++;
  for (const [stream, head] of heads)
    if ((await log.head(stream)) !== head) throw new Error(`the head of ${stream} is not ${head}`);
  const cut = log.health.tailCut !== undefined;
  await close();
  return { events: next, lost, cut };
}
