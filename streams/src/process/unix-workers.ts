/**
 * Worker processes on Unix. Each gets a socket in a folder that only this user may enter, a process group of its own, so that
 * nothing that it starts outlives it, and a limit of memory that the kernel keeps (`setrlimit(2)` by the shell's `ulimit`).
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import {
  type Env,
  WORKER_SOCKET,
  type WorkerCommand,
  type WorkerEnd,
  type WorkerLauncher,
  type WorkerListener,
  type WorkerProcess,
  type WorkerUsage,
} from "@millrace/engine";
import { OutputTail } from "./output-tail.ts";
import { processUsage } from "./process-usage.ts";

/** util-linux: has the kernel kill the program when the thread that started it ends, however that ends. */
const SETPRIV = "/usr/bin/setpriv";
/** What a program prints is read up to so many bytes at a time: who prints more waits, for its host has others to listen to. */
const OUTPUT_BYTES_MAX = 1024 * 1024;
const OUTPUT_PAUSE_MS = 100;
/** Longest that a program may go without its socket, and the socket of one that is gone stay open in somebody else's hands. */
const SOCKET_LINGER_MS = 500;

export function unixWorkers(env: Env): WorkerLauncher {
  return { launch: (command, listener) => UnixWorker.launch(command, listener, env) };
}

class UnixWorker implements WorkerProcess {
  readonly #child: ChildProcess;
  readonly #output = new OutputTail();
  #socket: Socket | undefined;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async launch(command: WorkerCommand, listener: WorkerListener, env: Env): Promise<WorkerProcess> {
    const folder = await mkdtemp(join(tmpdir(), "millrace-worker-"));
    const server = createServer();
    try {
      const path = join(folder, "socket");
      server.listen(path);
      await once(server, "listening");
      const child = start(command, path);
      const worker = new UnixWorker(child);
      worker.#attach(server, folder, listener, env);
      await once(child, "spawn");
      return worker;
    } catch (error) {
      server.close();
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get output(): { readonly tail: string; readonly bytes: number } {
    return { tail: this.#output.tail, bytes: this.#output.bytes };
  }

  send(bytes: Uint8Array): void {
    if (this.#socket?.writable === true) this.#socket.write(bytes);
  }

  signal(name: "SIGTERM" | "SIGKILL"): void {
    if (this.#child.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, name);
    } catch {
      // Nobody is left in the group.
    }
  }

  usage(): WorkerUsage | undefined {
    return this.#child.exitCode === null && this.#child.signalCode === null ? processUsage(this.pid) : undefined;
  }

  #attach(server: Server, folder: string, listener: WorkerListener, env: Env): void {
    const child = this.#child;
    const streams = [child.stdout, child.stderr].filter((stream) => stream !== null);
    for (const stream of streams) this.#read(stream, env);
    const stopListening = (): void => {
      server.close();
      rm(folder, { recursive: true, force: true }).catch(() => undefined);
    };
    server.once("connection", (socket) => {
      stopListening();
      this.#socket = socket;
      socket.on("data", (bytes) => listener.data(bytes));
      // Its end is all that counts, whatever caused it: a program without a socket is of no use.
      socket.on("error", () => socket.destroy());
      socket.on("close", () => this.#mustEnd(env));
    });
    child.once("exit", (code, signal) => {
      stopListening();
      for (const stream of streams) stream.resume();
      this.signal("SIGKILL");
      this.#afterSocket({ code, signal }, listener, env);
    });
    // Reported by `once` of the launch; a child that never was has no end.
    child.on("error", () => undefined);
  }

  #read(stream: Readable, env: Env): void {
    let bytes = 0;
    stream.on("data", (chunk: Buffer) => {
      this.#output.write(chunk);
      bytes += chunk.length;
      if (bytes < OUTPUT_BYTES_MAX) return;
      bytes = 0;
      stream.pause();
      env.timers.after(OUTPUT_PAUSE_MS, () => stream.resume());
    });
  }

  /** A program that closes its socket may be about to end by itself, with an exit code of its own. */
  #mustEnd(env: Env): void {
    const insist = env.timers.after(SOCKET_LINGER_MS, () => this.signal("SIGKILL"));
    if (this.#child.exitCode === null && this.#child.signalCode === null)
      this.#child.once("exit", () => insist.cancel());
    else insist.cancel();
  }

  #afterSocket(end: WorkerEnd, listener: WorkerListener, env: Env): void {
    const socket = this.#socket;
    if (socket === undefined || socket.destroyed) {
      listener.ended(end);
      return;
    }
    const linger = env.timers.after(SOCKET_LINGER_MS, () => socket.destroy());
    socket.once("close", () => {
      linger.cancel();
      listener.ended(end);
    });
    socket.end();
  }
}

/** `sh` sets the limit and becomes the program. */
function start({ command, args, env, dataBytesMax }: WorkerCommand, socket: string): ChildProcess {
  const limit = dataBytesMax === undefined ? "" : `ulimit -d ${Math.ceil(dataBytesMax / 1024)} && `;
  const inShell = ["/bin/sh", "-c", `ulimit -c 0; ${limit}exec "$@"`, "sh", command, ...args];
  const [file = "", ...rest] = existsSync(SETPRIV) ? [SETPRIV, "--pdeathsig", "KILL", ...inShell] : inShell;
  return spawn(file, rest, {
    env: { ...env, [WORKER_SOCKET]: socket },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
}
