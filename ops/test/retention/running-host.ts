/** A host that runs on a small log with a graph that takes pushes: what tests of care beside running graphs begin with. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { freePort } from "../../services/free-port.ts";
import { careOfHost } from "../../src/cli/ask-host.ts";
import { asked } from "../../src/cli/with-care.ts";
import type { LogCare } from "../../src/retention/log-care.ts";
import { bytesBelow } from "../file-bytes.ts";
import { type Finished, lastJson, millrace, type Running, start } from "../millrace.ts";
import { makeSmallLog } from "./small-log.ts";

const GRAPH = `
name: sign-ups
nodes:
  in:    { kind: source, from: "http:/in", personal: { subject: customer, fields: [email] } }
  table: { kind: sink, input: in, to: "projection:customers", key: [id] }
`;

/** Whatever its age. */
export const ALL = Number.MAX_SAFE_INTEGER;
export const BY = asked("letter of 3 May");

/** Of a log that nothing follows. */
export const NO_PROJECTIONS = {
  reached: async (): Promise<undefined> => undefined,
  carry: async () => ({ carries: [], refused: [] }),
};

export interface SignUp {
  readonly id: number;
  readonly customer: string;
  readonly email: string;
}

export class RunningHost {
  readonly directory: string = mkdtempSync(join(tmpdir(), "millrace-running-"));
  readonly data: string = join(this.directory, "data");
  /** What the command line asks a running host with. */
  readonly care: LogCare = careOfHost(join(this.data, "care"));
  #process: Running | undefined;
  #url = "";
  readonly #eventStorePort: number;
  /** Connection string for EventStoreDB clients, of a host that serves them. */
  eventStore = "";
  /** When all of the log's first events were there, and none of the graph. */
  madeMs = 0;

  private constructor(eventStorePort: number) {
    this.#eventStorePort = eventStorePort;
  }

  /** @param events in the log before the graph's own */
  static async make(events: number, { eventStore = false } = {}): Promise<RunningHost> {
    const host = new RunningHost(eventStore ? await freePort() : 0);
    writeFileSync(join(host.directory, "graph.yaml"), GRAPH);
    await makeSmallLog(host.data, events);
    host.madeMs = Date.now();
    await host.start();
    return host;
  }

  async start(): Promise<void> {
    const args = ["serve", join(this.directory, "graph.yaml"), "--port", "0", "--data", this.data, "--json"];
    this.#process = start([...args, "--eventstore-port", String(this.#eventStorePort)]);
    const told = JSON.parse(await this.#process.line(/^\{"url"/)) as {
      readonly url: string;
      readonly eventStore?: string;
    };
    this.#url = told.url;
    this.eventStore = told.eventStore ?? "";
  }

  async kill(): Promise<void> {
    this.#process?.child.kill("SIGKILL");
    await this.#process?.finished;
  }

  async stop(): Promise<Finished | undefined> {
    this.#process?.child.kill("SIGTERM");
    return this.#process?.finished;
  }

  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** A command on the data directory. */
  ask(...args: readonly string[]): Promise<Finished> {
    return millrace([...args, "--data", this.data]);
  }

  /** The same with `--json`, which must succeed. */
  async told(...args: readonly string[]): Promise<unknown> {
    const { code, stdout, stderr } = await this.ask(...args, "--json");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    return lastJson(stdout);
  }

  async get(path: string): Promise<{ readonly status: number; readonly body: unknown }> {
    const answer = await fetch(new URL(path, this.#url));
    return { status: answer.status, body: await answer.json() };
  }

  /** Resolves when the messages are in the log. */
  async push(...messages: readonly SignUp[]): Promise<void> {
    const headers = { "content-type": "application/json" };
    const url = new URL("/api/v1/graphs/sign-ups/push/in", this.#url);
    const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(messages) });
    expect({ status: answer.status, text: await answer.text() }).toMatchObject({ status: 200 });
  }

  async rows(customer: string): Promise<readonly SignUp[]> {
    const rows: SignUp[] = [];
    for (let next: string | null = ""; next !== null; ) {
      const cursor = next === "" ? "" : `&cursor=${encodeURIComponent(next)}`;
      const { body } = await this.get(`/api/v1/projections/customers?where.customer=${customer}&limit=1000${cursor}`);
      const page = body as { readonly rows: readonly SignUp[]; readonly next: string | null };
      rows.push(...page.rows);
      next = page.next;
    }
    return rows;
  }

  /** Server-sent events of the log from here on, until `signal` aborts. */
  async *live(signal: AbortSignal): AsyncGenerator<string> {
    const { body } = await fetch(new URL("/api/v1/live?events=all&status=none", this.#url), { signal });
    for await (const part of body?.pipeThrough(new TextDecoderStream()) ?? []) yield part;
  }

  path(...names: readonly string[]): string {
    return join(this.data, ...names);
  }

  /** Of all files. */
  bytes(): Buffer {
    return bytesBelow(this.data);
  }
}
