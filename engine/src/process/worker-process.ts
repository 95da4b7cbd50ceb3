/**
 * A program in a process of its own that talks with this one over a private socket: how code runs that is written in another
 * language or not trusted. What the bytes mean is for those who use the port.
 */

export interface WorkerCommand {
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment of the program, beside {@link WORKER_SOCKET}: secrets of this process are not for it. */
  readonly env: Readonly<Record<string, string>>;
  /** Most bytes of data (heap and private mappings) that the system gives the program. Default: no limit. */
  readonly dataBytesMax?: number;
}

/** Environment variable with the path of the Unix socket that the program connects to, once. */
export const WORKER_SOCKET = "MILLRACE_SOCKET";

export interface WorkerEnd {
  readonly code: number | null;
  readonly signal: string | null;
}

export interface WorkerListener {
  /** Bytes as they arrive; never after {@link ended}. */
  data(bytes: Uint8Array): void;
  /** The process is gone and its socket read to the end. Called once. */
  ended(end: WorkerEnd): void;
}

export interface WorkerUsage {
  readonly residentBytes: number;
  readonly residentBytesMax: number;
  /** Processor time of all its threads since its start. */
  readonly cpuMs: number;
}

export interface WorkerProcess {
  readonly pid: number;
  /** Dropped when the program has not connected or has gone; waits in memory while it does not read. */
  send(bytes: Uint8Array): void;
  /** For the program and everything that it started. */
  signal(name: "SIGTERM" | "SIGKILL"): void;
  /** The last of what it wrote to stdout and stderr, at most 16 KiB, and how much that was in all. */
  readonly output: { readonly tail: string; readonly bytes: number };
  /** `undefined` where the system does not tell, or when the process is gone. */
  usage(): WorkerUsage | undefined;
}

export interface WorkerLauncher {
  /** Starts the program. It does not outlive this process. @throws Error the program cannot be started */
  launch(command: WorkerCommand, listener: WorkerListener): Promise<WorkerProcess>;
}
