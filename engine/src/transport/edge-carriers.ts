/**
 * Edges of a graph over a {@link Transport}. A lane has a subject of its own, so that its credit is its own (R25): the receiver
 * grants as its mailbox takes. What the transport accepts is not durable, and may be lost, repeated or late: the origin sends
 * only what is committed and keeps it until it is acknowledged, receivers trim what comes twice and ask for what does not come
 * (R7, R8, R10, R11). So a frame is answered when it is handed over, whatever becomes of it then.
 */
import type { Link } from "../actor/link.ts";
import type { ConnectionStatus } from "../connection/connection-status.ts";
import { MillraceError } from "../errors.ts";
import type { Frame } from "../frame/frame.ts";
import { comparePoints, formatPoint } from "../frame/point.ts";
import type { Carriers } from "../runtime/graph-wiring.ts";
import { edgeName, type PlanEdge } from "../runtime/plan.ts";
import type { GraphProgram } from "../runtime/program.ts";
import type { Env } from "../time/clock.ts";
import { HeardControl, ToldControl } from "./edge-control.ts";
import { decodeFrame, encodeFrame } from "./frame-codec.ts";
import type { Delivery, Subscription, Transport } from "./transport.ts";

export interface EdgeCarriersOptions {
  readonly transport: Transport;
  readonly env: Env;
  /** Tells the subjects of this installation's graphs from those of others on the same broker. */
  readonly scope: string;
  /** Whether a node runs on this host; the others run on hosts with the same scope. Default: all run here. */
  readonly runsHere?: ((node: string) => boolean) | undefined;
}

/** Frames of a lane that the transport has not accepted yet, before its sender must wait. */
const UNACCEPTED_MAX = 16;
/** Beyond this even empty frames are left out; they are repeated anyway. */
const EMPTY_MAX = 32;
/** Frames of a lane that the receiver takes ahead of its mailbox. */
const CREDIT = 16;

/** Carries those edges of a program over the transport whose `via` says so; all others stay what they are. */
export function edgeCarriers(program: GraphProgram, via: "nats" | "kafka", options: EdgeCarriersOptions): Carriers {
  const over = new Set(
    program.edges.filter((edge) => edge.via === via).map(({ from, port = "out", to }) => edgeName({ from, port, to })),
  );
  const { transport, scope, runsHere = () => true } = options;
  const carried: Closable[] = [];
  let failed: Failed = () => undefined;
  return {
    fuses: true,
    start(report) {
      failed = report;
    },
    link(edge, local, paths) {
      if (!over.has(edgeName(edge))) return local;
      const subject = subjectOf(program, edge, scope);
      const receives = runsHere(edge.to) ? paths : [];
      const link = new TransportLink(edge, local, receives, subject, {
        ...options,
        failed: (node, error) => failed(node, error),
      });
      carried.push(link);
      return link;
    },
    control(origin, local) {
      if (options.runsHere === undefined) return local;
      const subject = `${scope}.${program.graph}.control.${origin.name}.r${program.revision}`;
      const control = runsHere(origin.node)
        ? new HeardControl(transport, subject, local)
        : new ToldControl(transport, subject, options.env);
      carried.push(control);
      return control;
    },
    async close() {
      await Promise.all(carried.map((one) => one.close()));
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
  readonly failed: Failed;
}

interface OutgoingLane {
  unaccepted: number;
  waiters: (() => void)[];
}

class TransportLink implements Link {
  readonly subject: string;
  readonly #subject: string;
  readonly #from: string;
  readonly #local: Link;
  readonly #options: LinkOptions;
  readonly #lanes = new Map<number, OutgoingLane>();
  readonly #subscriptions: Promise<Subscription>[];
  #isClosed = false;

  constructor(edge: PlanEdge, local: Link, paths: readonly number[], subject: string, options: LinkOptions) {
    this.#from = edge.from;
    this.#local = local;
    this.#subject = subject;
    this.subject = options.transport.addressOf?.(subject) ?? subject;
    this.#options = options;
    this.#subscriptions = paths.map((path) => this.#receive(path));
  }

  connection(): ConnectionStatus | undefined {
    return this.#options.transport.connection?.();
  }

  hasCredit(path: number): boolean {
    return this.#lane(path).unaccepted < UNACCEPTED_MAX;
  }

  whenCredit(path: number, wake: () => void): void {
    if (this.hasCredit(path)) wake();
    else this.#lane(path).waiters.push(wake);
  }

  send(frame: Frame): void {
    const { path } = frame.head;
    const lane = this.#lane(path);
    if (this.#isClosed || (frame.n === 0 && lane.unaccepted >= EMPTY_MAX)) return;
    for (const piece of this.#pieces(frame)) void this.#publish(piece, lane);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const subscription of this.#subscriptions) await (await subscription.catch(() => undefined))?.close();
  }

  /** The frame as bytes, in as many pieces as the transport's limit makes necessary. */
  #pieces(frame: Frame): readonly { readonly frame: Frame; readonly body: Uint8Array }[] {
    const body = encodeFrame(frame);
    if (body.length <= this.#options.transport.bodyBytesMax || frame.n < 2) return [{ frame, body }];
    // A cut frame's first half has the watermark of its start, which is not known here: it has none of its own.
    const halves = frame.cutBefore(frame.n >> 1, Number.NEGATIVE_INFINITY);
    return halves.flatMap((half) => this.#pieces(half));
  }

  async #publish({ frame, body }: { readonly frame: Frame; readonly body: Uint8Array }, lane: OutgoingLane) {
    const { transport, failed } = this.#options;
    const { path } = frame.head;
    lane.unaccepted++;
    try {
      await transport.publish(`${this.#subject}.p${path}`, { headers: headersOf(frame), body });
    } catch (error) {
      // A closed transport loses what it had; who needs it asks for it again.
      if (!(error instanceof MillraceError)) throw error;
      if (error.code !== "TRANSPORT-CLOSED") failed(this.#from, error);
    }
    lane.unaccepted--;
    if (lane.unaccepted < UNACCEPTED_MAX) for (const wake of lane.waiters.splice(0)) wake();
  }

  #receive(path: number): Promise<Subscription> {
    const { transport } = this.#options;
    // What waits for the mailbox is granted at once: it wakes a sender once, however often that asked.
    let owed = 0;
    const grant = (): void => {
      const credit = owed;
      owed = 0;
      void subscribing.then((subscription) => subscription.grant(credit));
    };
    const subscribing = transport.subscribe(
      `${this.#subject}.p${path}`,
      (delivery) => {
        this.#hand(delivery);
        owed++;
        if (this.#local.hasCredit(path)) grant();
        else this.#local.whenCredit(path, grant);
      },
      { credit: CREDIT },
    );
    return subscribing;
  }

  #hand(delivery: Delivery): void {
    if (!this.#isClosed) {
      const frame = readable(delivery.body, this.#options.env.clock.monotonic());
      if (frame !== undefined) this.#local.send(frame);
    }
    delivery.ack();
  }

  #lane(path: number): OutgoingLane {
    let lane = this.#lanes.get(path);
    if (lane === undefined) {
      lane = { unaccepted: 0, waiters: [] };
      this.#lanes.set(path, lane);
    }
    return lane;
  }
}

/** Marks and probes are all alike and may be repeated, so they carry no id (R11). */
function headersOf({ head }: Frame): Record<string, string> {
  const { from, to, epoch, generation } = head;
  if (comparePoints(from, to) === 0) return {};
  return { "message-id": `${formatPoint(from)}-${formatPoint(to)}/${epoch}.${generation}` };
}

/** A frame that cannot be read is lost, as one that never came. */
function readable(body: Uint8Array, bornMs: number): Frame | undefined {
  try {
    return decodeFrame(body, bornMs);
  } catch {
    return undefined;
  }
}
