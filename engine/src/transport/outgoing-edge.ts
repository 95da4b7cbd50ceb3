/** The sending end of an edge over a transport: frames as messages, payloads before the frames that name them. */
import { MillraceError } from "../errors.ts";
import type { Frame } from "../frame/frame.ts";
import { comparePoints, formatPoint } from "../frame/point.ts";
import { countHeader, type EdgePayloads, namedBy, piecesOf } from "./edge-payloads.ts";
import { encodeFrame } from "./frame-codec.ts";
import type { Transport, TransportMessage } from "./transport.ts";

export interface OutgoingEdgeOptions {
  readonly transport: Transport;
  readonly subject: string;
  /** Payloads that the receiver's host does not have; absent: it is this host, or there are none. */
  readonly payloads: (() => EdgePayloads) | undefined;
  /** A message that no transport would ever take. */
  readonly failed: (error: unknown) => void;
}

/** Frames of a lane that the transport has not accepted yet, before its sender must wait. */
const UNACCEPTED_MAX = 16;
/** Beyond this even empty frames are left out; they are repeated anyway. */
const EMPTY_MAX = 32;

interface Lane {
  unaccepted: number;
  waiters: (() => void)[];
  /** Set while payloads are on their way: what follows waits, so that it does not come before them. */
  busy: Promise<void> | undefined;
}

interface Packed {
  readonly frame: Frame;
  readonly body: Uint8Array;
}

export class OutgoingEdge {
  readonly #options: OutgoingEdgeOptions;
  readonly #lanes = new Map<number, Lane>();

  constructor(options: OutgoingEdgeOptions) {
    this.#options = options;
  }

  hasCredit(path: number): boolean {
    return this.#lane(path).unaccepted < UNACCEPTED_MAX;
  }

  whenCredit(path: number, wake: () => void): void {
    if (this.hasCredit(path)) wake();
    else this.#lane(path).waiters.push(wake);
  }

  send(frame: Frame): void {
    const lane = this.#lane(frame.head.path);
    if (frame.n === 0 && lane.unaccepted >= EMPTY_MAX) return;
    for (const packed of this.#writable(frame)) void this.#carry(packed, lane);
  }

  /** None of a frame that cannot be written: its sender is told, which called from its turn and must not be thrown at. */
  #writable(frame: Frame): readonly Packed[] {
    try {
      return this.#pack(frame);
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      this.#options.failed(error);
      return [];
    }
  }

  /** The frame as bytes, in as many parts as the transport's limit makes necessary. */
  #pack(frame: Frame): readonly Packed[] {
    const body = encodeFrame(frame);
    if (body.length <= this.#options.transport.bodyBytesMax || frame.n < 2) return [{ frame, body }];
    // A cut frame's first half has the watermark of its start, which is not known here: it has none of its own.
    const halves = frame.cutBefore(frame.n >> 1, Number.NEGATIVE_INFINITY);
    return halves.flatMap((half) => this.#pack(half));
  }

  async #carry(packed: Packed, lane: Lane): Promise<void> {
    lane.unaccepted++;
    await this.#inOrder(packed, lane);
    lane.unaccepted--;
    if (lane.unaccepted < UNACCEPTED_MAX) for (const wake of lane.waiters.splice(0)) wake();
  }

  #inOrder({ frame, body }: Packed, lane: Lane): Promise<void> {
    const { path } = frame.head;
    const payloads = this.#options.payloads?.();
    const named = namedBy(frame, payloads);
    const message = { headers: { ...headersOf(frame), ...countHeader(named) }, body };
    if (lane.busy === undefined && named.length === 0) return this.#publish(path, message);
    const before = lane.busy ?? Promise.resolve();
    const done: Promise<void> = before
      .then(async () => {
        for (const reference of named) {
          const pieces = piecesOf(
            reference,
            payloads as EdgePayloads,
            this.#options.transport.bodyBytesMax,
            transmission(frame),
          );
          for await (const piece of pieces) await this.#publish(path, piece);
        }
        await this.#publish(path, message);
      })
      // The frame is lost with its payloads; its receiver asks for it again.
      .catch((error: unknown) => {
        if (!(error instanceof MillraceError && error.kind === "transient")) this.#options.failed(error);
      })
      .finally(() => {
        if (lane.busy === done) lane.busy = undefined;
      });
    lane.busy = done;
    return done;
  }

  async #publish(path: number, message: TransportMessage): Promise<void> {
    const { transport, subject, failed } = this.#options;
    try {
      await transport.publish(`${subject}.p${path}`, message);
    } catch (error) {
      // A closed transport loses what it had; who needs it asks for it again.
      if (!(error instanceof MillraceError)) throw error;
      if (error.code !== "TRANSPORT-CLOSED") failed(error);
    }
  }

  #lane(path: number): Lane {
    let lane = this.#lanes.get(path);
    if (lane === undefined) {
      lane = { unaccepted: 0, waiters: [], busy: undefined };
      this.#lanes.set(path, lane);
    }
    return lane;
  }
}

/** Marks and probes are all alike and may be repeated, so they carry no id (R11). */
function headersOf(frame: Frame): Record<string, string> {
  const { from, to } = frame.head;
  return comparePoints(from, to) === 0 ? {} : { "message-id": transmission(frame) };
}

/** The same for the same frame sent once, another when it is sent again. */
function transmission({ head: { from, to, epoch, generation } }: Frame): string {
  return `${formatPoint(from)}-${formatPoint(to)}/${epoch}.${generation}`;
}
