/**
 * A server for tests: started on a free loopback port with a folder of its own, waited for until it answers, killed and
 * started again at will, and stopped by its own pid. Nothing is left behind, also when the test process ends early.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statfsSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { freemem, tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./free-port.ts";

export interface ServerKind {
  /** For messages and folder names. */
  readonly name: string;
  readonly binary: string;
  /** The command line for a port and a folder. */
  args(port: number, directory: string): readonly string[];
  /** Makes what must be in the folder before the first start. */
  prepare?(directory: string): void;
  /** Who it runs as. Default: who runs the test. */
  readonly uid?: number;
  readonly gid?: number;
  /** What ends it in order. Default SIGTERM. */
  readonly stopSignal?: NodeJS.Signals;
  /** How long it may take until it answers, in ms. Default 20 s. */
  readonly readyMs?: number;
  /** Resolves, with what the server says of itself, when it answers on `socket`; rejects when it does not yet. */
  greet(socket: Socket): Promise<string>;
}

const READY_MS = 20_000;
const RETRY_MS = 20;
/** How long a server that accepted a connection may take to answer; then it is asked over another one. */
const ANSWER_MS = 5000;
const MEMORY = "/dev/shm";
/** What there must be of it before servers keep their folders there. */
const ROOM_BYTES = 8 * 2 ** 30;
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export class ServerProcess {
  readonly port: number;
  /** What the server said of itself when it was ready. */
  greeting = "";
  readonly #kind: ServerKind;
  readonly #directory: string;
  #child: ChildProcess | undefined;
  #output = "";

  private constructor(kind: ServerKind, port: number) {
    this.#kind = kind;
    this.port = port;
    this.#directory = mkdtempSync(join(home(), `millrace-${kind.name}-`));
  }

  static async start(kind: ServerKind): Promise<ServerProcess> {
    const server = new ServerProcess(kind, await freePort());
    kind.prepare?.(server.#directory);
    await server.start();
    return server;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Starts it, or starts it again with what it had on disk, and waits until it answers. */
  async start(): Promise<void> {
    const { binary, args, name, uid, gid } = this.#kind;
    const as = { ...(uid === undefined ? {} : { uid }), ...(gid === undefined ? {} : { gid }) };
    const child = spawn(binary, args(this.port, this.#directory), { stdio: ["ignore", "pipe", "pipe"], ...as });
    running.add(child);
    child.once("exit", () => running.delete(child));
    for (const stream of [child.stdout, child.stderr])
      stream?.on("data", (chunk: Buffer) => {
        this.#output = (this.#output + chunk.toString()).slice(-4000);
      });
    this.#child = child;
    const until = Date.now() + (this.#kind.readyMs ?? READY_MS);
    for (;;) {
      const greeting = await this.#greeting();
      if (greeting !== undefined) {
        this.greeting = greeting;
        return;
      }
      if (child.exitCode !== null || Date.now() > until)
        throw new Error(`${name} did not start on port ${this.port}:\n${this.#output}`);
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  /** Ends it as a power cut would: with the processes that it started. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Where it keeps what it keeps. */
  get directory(): string {
    return this.#directory;
  }

  /** Resolves when it does not run any more. */
  get whenEnded(): Promise<void> {
    const child = this.#child;
    if (child === undefined || !running.has(child)) return Promise.resolve();
    return once(child, "exit").then(() => undefined);
  }

  /** Tells it to read its settings again. */
  reload(): void {
    this.#child?.kill("SIGHUP");
  }

  /** Remembers what a server that does not run has on disk. */
  remember(): void {
    rmSync(this.#remembered, { recursive: true, force: true });
    cpSync(this.#directory, this.#remembered, { recursive: true });
  }

  /** A power cut may take what was written since, acknowledged or not, from a server that does not sync: gives it what was remembered. */
  forget(): void {
    rmSync(this.#directory, { recursive: true, force: true });
    cpSync(this.#remembered, this.#directory, { recursive: true });
  }

  /** Ends it in order and removes its folder. */
  async stop(): Promise<void> {
    await this.#end(this.#kind.stopSignal ?? "SIGTERM");
    for (const folder of [this.#directory, this.#remembered]) rmSync(folder, { recursive: true, force: true });
  }

  get #remembered(): string {
    return `${this.#directory}-remembered`;
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    const own = signal === "SIGKILL" ? childrenOf(child.pid) : [];
    child.kill(signal);
    await ended;
    for (const pid of own) killIfThere(pid);
    // What one of them holds (memory, locks) would keep the next start from succeeding.
    while (own.some(isRunning)) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }

  async #greeting(): Promise<string | undefined> {
    const socket = connect({ host: "127.0.0.1", port: this.port });
    try {
      await once(socket, "connect");
      return await Promise.race([this.#kind.greet(socket), unanswered(socket)]);
    } catch {
      return undefined;
    } finally {
      socket.destroy();
    }
  }
}

/** What a server syncs outlives a kill in memory as on a disk, which every test on the machine would wait for. */
function home(): string {
  if (!existsSync(MEMORY) || freemem() < ROOM_BYTES) return tmpdir();
  const { bavail, bsize } = statfsSync(MEMORY);
  return bavail * bsize < ROOM_BYTES ? tmpdir() : MEMORY;
}

/** A server that starts or ends may accept a connection and close it, or be silent: whoever waits for data hears of neither. */
async function unanswered(socket: Socket): Promise<never> {
  await once(socket, "close", { signal: AbortSignal.timeout(ANSWER_MS) });
  throw new Error("the server closed the connection before it answered");
}

/** Linux tells it; elsewhere there are none to be told. */
function childrenOf(pid: number | undefined): readonly number[] {
  const path = `/proc/${pid}/task/${pid}/children`;
  if (!existsSync(path)) return [];
  return readFileSync(path, "utf8").split(" ").filter(Boolean).map(Number);
}

function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended with its parent.
  }
}
