/** Debian's `sqlite3`, a program of its own that writes and reads a database while others do. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";

/** The reason why there is none; `undefined` where there is one. */
export const sqliteMissing: string | undefined = process.env.MILLRACE_SKIP_SQLITE || undefined;

interface Waiting {
  readonly mark: string;
  readonly resolve: (output: string) => void;
  readonly reject: (error: Error) => void;
}

export class SqliteShell {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waiting: Waiting[] = [];
  #count = 0;
  #output = "";

  /** It waits up to 20 s for others that have the database locked. */
  constructor(path: string) {
    // What it complains of comes the same way as rows, and so before the mark.
    this.#child = spawn("sh", ["-c", 'exec sqlite3 "$0" 2>&1', path], { stdio: "pipe" });
    this.#child.stdin.on("error", () => undefined);
    // A character may come in two pieces.
    this.#child.stdout.setEncoding("utf8").on("data", (text: string) => this.#take(text));
    this.#child.once("exit", () => {
      for (const { reject } of this.#waiting.splice(0)) reject(new Error("the shell has ended"));
    });
    this.#child.stdin.write(".timeout 20000\n.mode json\n");
  }

  /** Statements of which one at most gives rows. @throws Error what the program complains of */
  async query<R = Record<string, unknown>>(statements: string): Promise<readonly R[]> {
    const mark = `mark ${++this.#count}`;
    const output = await new Promise<string>((resolve, reject) => {
      this.#waiting.push({ mark, resolve, reject });
      this.#child.stdin.write(`${statements};\n.print ${mark}\n`);
    });
    if (output.trim() === "") return [];
    if (!output.startsWith("[")) throw new Error(output.trim());
    return JSON.parse(output) as readonly R[];
  }

  kill(): Promise<unknown> {
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    return ended;
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.stdin.end();
    await ended;
  }

  #take(text: string): void {
    this.#output += text;
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const at = this.#output.indexOf(`${first.mark}\n`);
      if (at < 0) return;
      const output = this.#output.slice(0, at);
      this.#output = this.#output.slice(at + first.mark.length + 1);
      this.#waiting.shift();
      first.resolve(output);
    }
  }
}
