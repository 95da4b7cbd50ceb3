/** The graphs of this process, and everything that may be done with them. Every change says who and why, and is an event. */
import { actorError, type HttpPush } from "@millrace/actors";
import {
  type CommittedBehavior,
  type DeadLetter,
  type EdgeMeter,
  type Env,
  type GraphHost,
  type GraphModel,
  type GraphStatus,
  hasPayload,
  type Json,
  type Mutation,
  type PeekedMessage,
  sleep,
  type WebhookKeys,
} from "@millrace/engine";
import { DEAD_LETTERS_SETTLED } from "@millrace/projections";
import type { CompiledGraph } from "../compile/compiled-graph.ts";
import { opsError } from "../errors.ts";
import { DEAD_LETTER_REDRIVEN, SYSTEM } from "./graph-stream.ts";
import type { HostPersonal } from "./host-personal.ts";
import { RunningGraph, type RunningGraphPorts } from "./running-graph.ts";

export interface HostPorts extends RunningGraphPorts {
  /** Seals the personal fields of what is pushed; absent: there are none. */
  readonly personal?: HostPersonal | undefined;
  /** Finds dead letters, as of the log's present end. */
  readonly deadLetters: (ids: readonly string[]) => Promise<readonly (DeadLetter | undefined)[]>;
}

const RECENT_MAX = 50;
const PEEK_EVERY_MS = 250;

export class Host implements GraphHost {
  readonly #ports: HostPorts;
  readonly #graphs = new Map<string, RunningGraph>();
  /** The last change of each graph that was asked for. */
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(ports: HostPorts) {
    this.#ports = ports;
  }

  /**
   * Deploys and starts a graph.
   *
   * @throws HOST-REVISION, HOST-GRAPH
   */
  async add(compiled: CompiledGraph, by: Mutation): Promise<RunningGraph> {
    const { name } = compiled.model;
    if (this.#graphs.has(name)) throw opsError("HOST-GRAPH", `graph ${name} runs on this host already`);
    const graph = await RunningGraph.deploy(compiled, by, this.#ports);
    this.#graphs.set(name, graph);
    await graph.start(by);
    return graph;
  }

  /** @throws HOST-GRAPH */
  running(graph: string): RunningGraph {
    return this.#get(graph);
  }

  /** True if the graph had reached its end before this host started it. */
  wasFinished(graph: string): boolean {
    return this.#graphs.get(graph)?.wasFinished === true;
  }

  list(): readonly GraphStatus[] {
    return [...this.#graphs.values()].map((graph) => graph.status());
  }

  status(graph: string): GraphStatus | undefined {
    return this.#graphs.get(graph)?.status();
  }

  source(graph: string): string | undefined {
    return this.#graphs.get(graph)?.compiled.text;
  }

  async start(graph: string, by: Mutation): Promise<void> {
    await this.#inTurn(graph, (running) => running.start(by));
  }

  async stop(graph: string, by: Mutation): Promise<void> {
    await this.#inTurn(graph, (running) => running.stop(by));
  }

  async suspend(graph: string, by: Mutation): Promise<void> {
    await this.#inTurn(graph, (running) => running.suspend(by));
  }

  async resume(graph: string, by: Mutation): Promise<void> {
    await this.#inTurn(graph, (running) => running.resume(by));
  }

  async *peek(
    graph: string,
    edge: string,
    perSecond: number,
    signal: AbortSignal,
  ): AsyncIterable<readonly PeekedMessage[]> {
    const most = Math.max(1, Math.floor((perSecond * PEEK_EVERY_MS) / 1000));
    let seen: EdgeMeter["newest"] = null;
    while (!signal.aborted) {
      const meter = this.#get(graph).edge(edge);
      if (meter !== undefined && meter.newest !== seen) {
        seen = meter.newest;
        yield newestOf(edge, meter, most, this.#ports.env);
      }
      await sleep(this.#ports.env, PEEK_EVERY_MS, signal).catch(() => undefined);
    }
  }

  recent(graph: string, edge: string): readonly PeekedMessage[] {
    const meter = this.#get(graph).edge(edge);
    return meter === undefined ? [] : newestOf(edge, meter, RECENT_MAX, this.#ports.env);
  }

  async push(graph: string, node: string, pushed: readonly Json[], idempotencyKey?: string): Promise<number> {
    const { runtime } = this.#get(graph);
    const behavior = runtime.behavior(node);
    if (!isPushable(behavior))
      throw opsError("HOST-NODE", `node ${node} of graph ${graph} takes no messages from outside`);
    // It would be taken when the graph is resumed: by then whoever sends has given up, and sends it again.
    if (runtime.state === "suspended") throw actorError("PUSH-CLOSED", `graph ${graph} is suspended`);
    const options = idempotencyKey === undefined ? {} : { id: idempotencyKey };
    const { payloads } = this.#ports;
    const { model } = this.#get(graph).compiled;
    const messages = await this.#sealed(model, node, pushed);
    const source = model.nodes.get(node);
    if (payloads === undefined || source?.kind !== "source") return behavior.accept(messages, options);
    const fields = source.definition.payload ?? {};
    if (Object.keys(fields).length === 0 && !messages.some(hasPayload)) return behavior.accept(messages, options);
    const scope = payloads.exchange.scope();
    try {
      const intake = payloads.intakeOf(model, node);
      const taken = await Promise.all(
        messages.map(async (message) => intake.message(await intake.fields(message, fields, scope), scope)),
      );
      return await behavior.accept(taken, options);
    } finally {
      // The step that emitted them holds them now.
      scope.end();
    }
  }

  /** With personal fields sealed. @throws PERSONAL-SUBJECT one of them does not say whose they are: none is taken */
  async #sealed(model: GraphModel, node: string, messages: readonly Json[]): Promise<readonly Json[]> {
    const intake = this.#ports.personal?.intakeOf(model, node);
    if (intake === undefined) return messages;
    const place = Buffer.from(this.#ports.env.random.bytes(16)).toString("hex");
    const sealed = await intake.seal(messages, (i) => `${place}@${i}`);
    return sealed.map((message) => {
      if (message instanceof Error) throw message;
      return message;
    });
  }

  pushKeys(graph: string, node: string): WebhookKeys | undefined {
    return this.#graphs.get(graph)?.compiled.pushKeys.get(node);
  }

  redrive(graph: string, ids: readonly string[], by: Mutation): Promise<number> {
    return this.#inTurn(graph, (running) => this.#redrive(running, ids, by));
  }

  async #redrive(running: RunningGraph, ids: readonly string[], by: Mutation): Promise<number> {
    const wanted = [...new Set(ids)];
    const found = await this.#ports.deadLetters(wanted);
    const letters = wanted.map((id, i) => redrivable(running, id, found[i])).filter(({ state }) => state === "waiting");
    if (letters.length === 0) return 0;
    for (const node of new Set(letters.map((letter) => letter.node))) await running.openRedrive(node);
    const redriven = letters.map(({ id, node, input }) => ({
      type: DEAD_LETTER_REDRIVEN,
      node,
      payload: { id, input },
    }));
    const settled = { type: DEAD_LETTERS_SETTLED, payload: { ids: letters.map(({ id }) => id), state: "redriven" } };
    await running.stream.append([...redriven, settled], by);
    await running.rereadRedriven();
    return letters.length;
  }

  /** Stops every graph after its steps in flight. */
  async close(reason: string): Promise<void> {
    const by = { ...SYSTEM, reason };
    await Promise.all([...this.#graphs.keys()].map((name) => this.#inTurn(name, (graph) => graph.stop(by))));
    await Promise.all([...this.#graphs.values()].map((graph) => graph.stream.settled()));
  }

  /** Changes of one graph are made one after the other, in the order in which they were asked for. */
  #inTurn<T>(graph: string, change: (running: RunningGraph) => Promise<T>): Promise<T> {
    const running = this.#get(graph);
    const turn = (this.#turns.get(graph) ?? Promise.resolve()).then(() => change(running));
    this.#turns.set(
      graph,
      turn.catch(() => undefined),
    );
    return turn;
  }

  #get(name: string): RunningGraph {
    const graph = this.#graphs.get(name);
    if (graph === undefined) throw opsError("HOST-GRAPH", `there is no graph ${name} on this host`);
    return graph;
  }
}

/** @throws HOST-REDRIVE it is not there, never was a message, or is not kept */
function redrivable(running: RunningGraph, id: string, letter: DeadLetter | undefined): DeadLetter {
  if (letter === undefined || letter.graph !== running.name)
    throw opsError("HOST-REDRIVE", `graph ${running.name} has no dead letter ${id}`);
  const node = running.compiled.model.nodes.get(letter.node);
  if (node === undefined) throw opsError("HOST-REDRIVE", `graph ${running.name} has no node ${letter.node} any more`);
  if (node.kind === "source")
    throw opsError(
      "HOST-REDRIVE",
      `${id} never was a message: source ${letter.node} rejected it (${letter.error.code})`,
    );
  if (letter.input === null)
    throw opsError("HOST-REDRIVE", `the message of ${id} was not kept: it was too large or nested too deeply, or null`);
  return letter;
}

function isPushable(behavior: CommittedBehavior | undefined): behavior is HttpPush {
  return behavior !== undefined && "accept" in behavior && typeof behavior.accept === "function";
}

/** The newest messages of an edge, newest first. */
function newestOf(edge: string, { newest, newestPositions }: EdgeMeter, most: number, env: Env): PeekedMessage[] {
  if (newest === null) return [];
  const atMs = env.clock.now();
  const messages: PeekedMessage[] = [];
  for (let i = newest.n - 1; i >= 0 && messages.length < most; i--) {
    const { pos, ord } = newestPositions?.point(i) ?? { pos: 0, ord: 0 };
    messages.push({ edge, pos, ord, atMs, value: newest.row(i) });
  }
  return messages;
}
