/** A process that runs the graph, with what it took so far. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";

const LOOK_MS = 100;

export class EngineRun {
  #child;
  #watch;
  #output = "";
  usage = { cpuSeconds: 0, rssMiB: 0 };

  constructor([program, args, env = {}]) {
    this.#child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream.on("data", (text) => {
        this.#output = (this.#output + text).slice(-2000);
      });
    this.#watch = setInterval(() => this.#look(), LOOK_MS);
  }

  /** Throws if the program ended, and not well. */
  check() {
    const { exitCode, signalCode } = this.#child;
    if (exitCode > 0 || signalCode !== null)
      throw new Error(`it ended with ${exitCode ?? signalCode}: ${this.#output}`);
  }

  async stop() {
    this.#look();
    clearInterval(this.#watch);
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }

  /** Linux counts for us. */
  #look() {
    try {
      const stat = readFileSync(`/proc/${this.#child.pid}/stat`, "utf8").split(") ").at(-1).split(" ");
      const peak = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${this.#child.pid}/status`, "utf8"))?.[1];
      this.usage = { cpuSeconds: (Number(stat[11]) + Number(stat[12])) / 100, rssMiB: Math.round(Number(peak) / 1024) };
    } catch {
      // It has ended; what it took stands.
    }
  }
}
