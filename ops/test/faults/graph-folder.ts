/** A graph file with its inputs and its data in a folder of its own, run by real processes. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import type { DeadLetter, GraphStatus } from "@millrace/engine";
import { expect, vi } from "vitest";
import { type Finished, lastJson, millrace, type Running, start } from "../millrace.ts";

export type Files = Readonly<Record<string, string | Uint8Array>>;

/** The last line of `run --until-done --json`. */
export interface Summary {
  readonly messagesIn: number;
  readonly messagesOut: number;
  readonly deadLettered: number;
  readonly dropped: number;
}

export interface Health {
  readonly status: "ok" | "not-ready";
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly detail: string }[];
}

/** Most dead letters that one question is answered with. */
const LETTERS_MAX = "500";

export class GraphFolder {
  readonly path = mkdtempSync(join(tmpdir(), "millrace-fault-"));
  readonly data: string;

  /** `data`: the data directory, from the folder. Default: `data` in it. */
  constructor(files: Files, data = "data") {
    this.data = resolve(this.path, data);
    this.write(files);
  }

  write(files: Files): void {
    for (const [name, content] of Object.entries(files)) {
      const path = join(this.path, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, content);
    }
  }

  /** Runs a graph to its end, with whatever outcome. */
  run(env: NodeJS.ProcessEnv = {}, graph = "graph.yaml"): Promise<Finished> {
    return this.begin(env, graph).finished;
  }

  begin(env: NodeJS.ProcessEnv = {}, graph = "graph.yaml"): Running {
    return start(["run", graph, "--until-done", "--json", "--data", this.data], { cwd: this.path, env });
  }

  /** Runs a graph to its end and expects that it gets there. */
  async finish(graph = "graph.yaml"): Promise<Summary> {
    const { code, stdout, stderr } = await this.run({}, graph);
    if (code !== 0) throw new Error(`the run ended with ${code}: ${stderr}`);
    return lastJson(stdout) as Summary;
  }

  async serve(graphs: readonly string[] = ["graph.yaml"], env: NodeJS.ProcessEnv = {}): Promise<Server> {
    const running = start(["serve", ...graphs, "--port", "0", "--json", "--data", this.data], { cwd: this.path, env });
    const { url } = JSON.parse(await running.line(/^\{"url"/)) as { url: string };
    return new Server(running, url);
  }

  /** What a file sink wrote, line by line. */
  lines(file: string): readonly string[] {
    const path = resolve(this.data, "out", file);
    return existsSync(path) ? readFileSync(path, "utf8").split("\n").filter(Boolean) : [];
  }

  rows<T>(file: string): readonly T[] {
    return this.lines(file).map((line) => JSON.parse(line) as T);
  }

  /** Dead letters of a stopped host, as the command line shows them, oldest first. */
  async deadLetters(): Promise<readonly DeadLetter[]> {
    return lettersIn(await millrace(["dlq", "ls", "--json", "--limit", LETTERS_MAX, "--data", this.data]));
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** A running `millrace serve`. */
export class Server {
  readonly running: Running;
  readonly url: string;

  constructor(running: Running, url: string) {
    this.running = running;
    this.url = url;
  }

  async get<T>(path: string): Promise<T> {
    return (await (await fetch(`${this.url}${path}`)).json()) as T;
  }

  status(graph: string): Promise<GraphStatus> {
    return this.get(`/api/v1/graphs/${graph}`);
  }

  health(): Promise<Health> {
    return this.get("/readyz");
  }

  async deadLetters(): Promise<readonly DeadLetter[]> {
    return lettersIn(await millrace(["dlq", "ls", "--json", "--limit", LETTERS_MAX, "--url", this.url]));
  }

  /** Resolves when the graph is in this state. */
  async reaches(graph: string, state: GraphStatus["state"], timeoutMs = 60_000): Promise<void> {
    await eventually(async () => expect((await this.status(graph)).state).toBe(state), timeoutMs);
  }

  /** Ends the server in order. */
  async stop(): Promise<Finished> {
    this.running.child.kill("SIGTERM");
    return this.running.finished;
  }
}

/** Asks again and again until `check` does not throw any more; its last complaint is the error. */
export function eventually<T>(check: () => Promise<T>, timeoutMs = 60_000): Promise<T> {
  return vi.waitFor(check, { timeout: timeoutMs, interval: 50 });
}

function lettersIn({ code, stdout, stderr }: Finished): readonly DeadLetter[] {
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return (lastJson(stdout) as { readonly rows: readonly DeadLetter[] }).rows.toReversed();
}
