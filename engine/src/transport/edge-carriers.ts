/**
 * Edges of a graph over a {@link Transport}. A lane has a subject of its own, so that its credit is its own (R25): the receiver
 * grants as its mailbox takes. What the transport accepts is not durable, and may be lost, repeated or late: the origin sends
 * only what is committed and keeps it until it is acknowledged, receivers trim what comes twice and ask for what does not come
 * (R7, R8, R10, R11). So a frame is answered when it is handed over, whatever becomes of it then.
 */
import type { Link, OriginControl } from "../actor/link.ts";
import type { ConnectionStatus } from "../connection/connection-status.ts";
import type { Anchor } from "../frame/anchor.ts";
import type { Frame } from "../frame/frame.ts";
import type { Point } from "../frame/point.ts";
import type { Carriers } from "../runtime/graph-wiring.ts";
import { edgeName, type PlanEdge } from "../runtime/plan.ts";
import type { GraphProgram } from "../runtime/program.ts";
import type { Env } from "../time/clock.ts";
import { HeardControl, HeardOver, ToldControl, ToldOver } from "./edge-control.ts";
import type { EdgePayloads } from "./edge-payloads.ts";
import { IncomingLane } from "./incoming-lane.ts";
import { OutgoingEdge } from "./outgoing-edge.ts";
import type { Transport } from "./transport.ts";

export interface EdgeCarriersOptions {
  readonly transport: Transport;
  readonly env: Env;
  /** Tells the subjects of this installation's graphs from those of others on the same broker. */
  readonly scope: string;
  /** Whether a node runs on this host; the others run on hosts with the same scope. Default: all run here. */
  readonly runsHere?: ((node: string) => boolean) | undefined;
  /** Payloads of this host, asked for when a frame is carried. Absent: references go along as they are. */
  readonly payloads?: (() => EdgePayloads) | undefined;
}

/** Carries those edges of a program over the transport whose `via` says so; all others stay what they are. */
export function edgeCarriers(program: GraphProgram, via: "nats" | "kafka", options: EdgeCarriersOptions): Carriers {
  const over = new Set(
    program.edges.filter((edge) => edge.via === via).map(({ from, port = "out", to }) => edgeName({ from, port, to })),
  );
  const ends = new Set(program.nodes.filter(({ role }) => role === "committed").map(({ name }) => name));
  const { transport, scope, runsHere } = options;
  const carried: Closable[] = [];
  const incoming = new Map<number, IncomingLane>();
  const told: ToldControl[] = [];
  const tellOver: ToldOver[] = [];
  const hearOver: HeardOver[] = [];
  let failed: Failed = () => undefined;
  return {
    fuses: true,
    start(report) {
      failed = report;
    },
    link(edge, local, paths) {
      if (!over.has(edgeName(edge))) return local;
      const link = new TransportLink(edge, local, subjectOf(program, edge, scope), {
        ...options,
        failed: (error) => failed(edge.from, error),
      });
      if (runsHere?.(edge.to) !== false) {
        for (const [path, lane] of link.receive(paths, ends.has(edge.to))) incoming.set(path, lane);
      }
      carried.push(link);
      return link;
    },
    control(origin, local, ledger) {
      if (runsHere === undefined) return local;
      const subject = (about: string): string =>
        `${scope}.${program.graph}.${about}.${origin.name}.r${program.revision}`;
      const isOriginHere = runsHere(origin.node);
      for (const relay of origin.relays) {
        if (runsHere(relay) === isOriginHere) continue;
        if (isOriginHere) tellOver.push(new ToldOver(transport, subject(`over.${relay}`)));
        else hearOver.push(new HeardOver(transport, subject(`over.${relay}`), ledger));
      }
      if (isOriginHere) {
        const control = new HeardControl(transport, subject("control"), local, ledger);
        carried.push(control);
        return new NotedControl(control, incoming);
      }
      const control = new ToldControl(transport, subject("control"), options.env);
      told.push(control);
      return new NotedControl(control, incoming);
    },
    mayEnd() {
      for (const over of tellOver) over.tell();
      return [...told, ...tellOver].every(({ isTold }) => isTold) && hearOver.every(({ isOver }) => isOver);
    },
    async close() {
      await Promise.all([...carried, ...told, ...hearOver].map((one) => one.close()));
    },
  };
}

interface Closable {
  close(): Promise<void>;
}

function subjectOf({ graph, revision }: GraphProgram, { from, port, to }: PlanEdge, scope: string): string {
  return `${scope}.${graph}.${from}.${port}.${to}.r${revision}`;
}

/** A frame that no transport would ever take: the node that sent it cannot go on. */
type Failed = (node: string, error: unknown) => void;

interface LinkOptions extends EdgeCarriersOptions {
  readonly failed: (error: unknown) => void;
}

class TransportLink implements Link {
  readonly subject: string;
  readonly #subject: string;
  readonly #local: Link;
  readonly #options: LinkOptions;
  readonly #outgoing: OutgoingEdge;
  readonly #incoming: IncomingLane[] = [];
  #isClosed = false;

  constructor(edge: PlanEdge, local: Link, subject: string, options: LinkOptions) {
    const { transport, failed, payloads, runsHere } = options;
    this.#local = local;
    this.#subject = subject;
    this.subject = transport.addressOf?.(subject) ?? subject;
    this.#options = options;
    const elsewhere = runsHere?.(edge.to) === false;
    this.#outgoing = new OutgoingEdge({ transport, subject, failed, payloads: elsewhere ? payloads : undefined });
  }

  /** Takes what comes along the edge, by path. `isEnd`: its lanes end here. */
  receive(paths: readonly number[], isEnd: boolean): Map<number, IncomingLane> {
    const { transport, env, payloads } = this.#options;
    const lanes = new Map<number, IncomingLane>();
    for (const path of paths) {
      const subject = `${this.#subject}.p${path}`;
      lanes.set(path, new IncomingLane({ transport, env, subject, path, local: this.#local, isEnd, payloads }));
    }
    this.#incoming.push(...lanes.values());
    return lanes;
  }

  connection(): ConnectionStatus | undefined {
    return this.#options.transport.connection?.();
  }

  hasCredit(path: number): boolean {
    return this.#outgoing.hasCredit(path);
  }

  whenCredit(path: number, wake: () => void): void {
    this.#outgoing.whenCredit(path, wake);
  }

  send(frame: Frame): void {
    if (!this.#isClosed) this.#outgoing.send(frame);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#incoming.map((lane) => lane.close()));
  }
}

/** What receivers of this host tell an origin, noted by the lanes that it came over. */
class NotedControl implements OriginControl {
  readonly #control: OriginControl;
  readonly #lanes: ReadonlyMap<number, IncomingLane>;

  constructor(control: OriginControl, lanes: ReadonlyMap<number, IncomingLane>) {
    this.#control = control;
    this.#lanes = lanes;
  }

  acknowledge(path: number, cursor: Point, anchor: Anchor): void {
    this.#lanes.get(path)?.passed(cursor);
    this.#control.acknowledge(path, cursor, anchor);
  }

  resume(path: number, cursor: Point, anchor: Anchor): void {
    this.#control.resume(path, cursor, anchor);
  }
}
