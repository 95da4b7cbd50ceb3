/** Runs the built command line as a user would: another process, its output and its exit code. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";

export const root = join(import.meta.dirname, "..", "..");
const cli = join(root, "ops", "dist-cli", "millrace.js");

export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly finished: Promise<Finished>;
  /** Resolves with the first line of stdout that matches. */
  line(pattern: RegExp): Promise<string>;
  /** The same of stderr. */
  errorLine(pattern: RegExp): Promise<string>;
}

export function start(
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv; readonly input?: string } = {},
): Running {
  if (!existsSync(cli)) throw new Error("the command line is not built: npm run build");
  const env = { ...process.env, NO_COLOR: "1", FORCE_COLOR: undefined, ...options.env };
  const child = spawn(process.execPath, [cli, ...args], {
    cwd: options.cwd ?? root,
    env,
    stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
  });
  child.stdin?.end(options.input);
  let stdout = "";
  let stderr = "";
  const watchers: (() => void)[] = [];
  child.stdout?.on("data", (text: Buffer) => {
    stdout += text.toString();
    for (const watch of watchers) watch();
  });
  child.stderr?.on("data", (text: Buffer) => {
    stderr += text.toString();
    for (const watch of watchers) watch();
  });
  const finished = once(child, "close").then(([code, signal]) => ({ code, signal, stdout, stderr }) as Finished);
  const lineOf = (output: () => string, pattern: RegExp): Promise<string> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const found = output()
          .split("\n")
          .find((text) => pattern.test(text));
        if (found !== undefined) resolve(found);
      };
      watchers.push(look);
      look();
      void finished.then(() => reject(new Error(`it ended without a line like ${pattern}:\n${stdout}${stderr}`)));
    });
  const line = (pattern: RegExp): Promise<string> => lineOf(() => stdout, pattern);
  const errorLine = (pattern: RegExp): Promise<string> => lineOf(() => stderr, pattern);
  return { child, finished, line, errorLine };
}

export function millrace(args: readonly string[], options?: Parameters<typeof start>[1]): Promise<Finished> {
  return start(args, options).finished;
}

/** The last line of stdout as JSON. */
export function lastJson(stdout: string): unknown {
  return JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "");
}
