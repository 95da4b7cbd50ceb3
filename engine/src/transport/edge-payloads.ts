/**
 * Payloads of frames that go to another host. A frame names payloads by their content, and the host that receives it has none
 * of the bytes. So they go before it on its lane, in pieces that the transport takes, and the receiver makes them its own
 * before it hands the frame over: from there on they are as if they had been made there (P-R15, P-R19, P-R20).
 *
 * The content's hash is checked at the receiver. A frame whose payloads did not come whole is lost, as one that never came: the
 * step protocol asks for it again, and its payloads come with it.
 */
import { MillraceError } from "../errors.ts";
import type { Frame } from "../frame/frame.ts";
import type { Point } from "../frame/point.ts";
import { FrameHolds, type PayloadHolds, referencesOfFrame } from "../payload/frame-holds.ts";
import type { PayloadExchange } from "../payload/payload-exchange.ts";
import type { PayloadScope } from "../payload/payload-scope.ts";
import { isFormat, type PayloadReference } from "../payload/payload-value.ts";
import type { TransportMessage } from "./transport.ts";

/** What edges ask of the payloads of their host. */
export type EdgePayloads = PayloadHolds & Pick<PayloadExchange, "intern" | "open" | "scope">;

/** On a message: its body is a piece of this payload, `sha256 format length offset`, or that the sender has lost it. */
const PIECE = "payload";
/** On a frame: how many payloads went before it. */
const COUNT = "payloads";
const LOST = "lost";

/** Headers of a frame whose payloads go before it. */
export function countHeader(references: readonly PayloadReference[]): Record<string, string> {
  return references.length === 0 ? {} : { [COUNT]: String(references.length) };
}

/** What a frame names; nothing while no message of the host can name a payload. */
export function namedBy(frame: Frame, payloads: EdgePayloads | undefined): readonly PayloadReference[] {
  return payloads?.isUsed === true ? [...referencesOfFrame(frame).values()] : [];
}

/**
 * A payload as messages, one after the other. `id` makes their ids those of one transmission.
 *
 * @throws PAYLOAD-FAILED (transient) the archive cannot be read
 */
export async function* piecesOf(
  reference: PayloadReference,
  payloads: EdgePayloads,
  bytesMax: number,
  id: string,
): AsyncGenerator<TransportMessage> {
  const { sha256, format, length } = reference;
  const message = (offset: number | typeof LOST, body: Uint8Array): TransportMessage => ({
    headers: { "message-id": `${id}:${sha256}.${offset}`, [PIECE]: `${sha256} ${format} ${length} ${offset}` },
    body,
  });
  const lease = await payloads.open(reference).catch((error: unknown) => {
    if (error instanceof MillraceError && error.code === "PAYLOAD-MISSING") return undefined;
    throw error;
  });
  if (lease === undefined) {
    yield message(LOST, new Uint8Array(0));
    return;
  }
  try {
    let offset = 0;
    do {
      const [start, end] = [offset, offset + bytesMax];
      yield message(
        start,
        lease.read((bytes) => bytes.slice(start, end)),
      );
      offset = end;
    } while (offset < length);
  } finally {
    // Bytes of a lease that did not last are found out by their hash.
    lease.release();
  }
}

interface Piece {
  readonly reference: PayloadReference;
  readonly offset: number | typeof LOST;
}

/** The receiving end of one lane: puts payloads together, and tells whether a frame has all of its own. */
export class ArrivingPayloads {
  readonly #payloads: EdgePayloads;
  readonly #holds: FrameHolds;
  readonly #isEnd: boolean;
  #scope: PayloadScope;
  #here = new Set<string>();
  #parts: Uint8Array[] = [];
  #bytes = 0;

  /**
   * @param isEnd the lane ends at this edge, so what it has durably passed is told to {@link passed}. A host that only passes
   * payloads on never learns that; it keeps their files until it starts again.
   */
  constructor(payloads: EdgePayloads, isEnd: boolean) {
    this.#payloads = payloads;
    this.#holds = new FrameHolds(payloads);
    this.#isEnd = isEnd;
    this.#scope = payloads.scope();
  }

  /** Whether a message is for {@link take}, or a frame for {@link hand}; all others have nothing to do with payloads. */
  static concerns({ headers }: TransportMessage): boolean {
    return headers[PIECE] !== undefined || headers[COUNT] !== undefined;
  }

  static isPiece({ headers }: TransportMessage): boolean {
    return headers[PIECE] !== undefined;
  }

  /** The next piece. What does not fit to the one before is left out. @throws PAYLOAD-FAILED (transient) the archive cannot take it */
  async take({ headers, body }: TransportMessage): Promise<void> {
    const piece = pieceOf(headers[PIECE] ?? "");
    if (piece === undefined) return;
    const { reference, offset } = piece;
    if (offset === LOST) {
      this.#here.add(reference.sha256);
      return;
    }
    if (offset === 0) this.#forgetParts();
    if (offset !== this.#bytes) return;
    this.#parts.push(body);
    this.#bytes += body.length;
    if (this.#bytes < reference.length) return;
    const bytes = Buffer.concat(this.#parts);
    this.#forgetParts();
    // Known by what they are, not by what was said of them: damaged bytes are nobody's, and go with the scope.
    const { sha256 } = await this.#payloads.intern(bytes, reference.format, this.#scope);
    this.#here.add(sha256);
  }

  /** Hands the frame over if all its payloads have come; they stay at least until the lane has durably passed it. */
  hand(frame: Frame, send: (frame: Frame) => void): void {
    const named = [...referencesOfFrame(frame).values()];
    const before = this.#scope;
    if (named.every(({ sha256 }) => this.#here.has(sha256))) {
      this.#holds.hold(frame, named);
      send(frame);
      if (!this.#isEnd) this.#holds.releaseAll(true);
    }
    this.#scope = this.#payloads.scope();
    this.#here = new Set();
    before.end();
  }

  passed(cursor: Point): void {
    this.#holds.releaseThrough(cursor);
  }

  /** Receivers may have logged what they were handed. */
  close(): void {
    this.#holds.releaseAll(true);
    this.#scope.end();
  }

  #forgetParts(): void {
    this.#parts = [];
    this.#bytes = 0;
  }
}

/** `undefined`: it was not written by {@link piecesOf}. */
function pieceOf(text: string): Piece | undefined {
  const match = /^([0-9a-f]{64}) ([a-z]+) (\d{1,15}) (\d{1,15}|lost)$/.exec(text);
  if (match === null) return undefined;
  const [, sha256 = "", format, length, offset] = match;
  if (!isFormat(format)) return undefined;
  return { reference: { sha256, format, length: Number(length) }, offset: offset === LOST ? LOST : Number(offset) };
}
