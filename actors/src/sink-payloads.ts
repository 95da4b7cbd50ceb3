/** Payloads on their way out of the host: what is outside cannot open a reference, so it gets the bytes, or a dead letter. */
import {
  type Draft,
  type InputSlice,
  inlineValue,
  type Json,
  type MessageFailure,
  MillraceError,
  mapPayloads,
  type PayloadExchange,
  type PayloadReference,
  payloadError,
  RowBatch,
} from "@millrace/engine";

export interface SinkPayloads {
  /** Open once the sink runs. */
  readonly exchange: PayloadExchange;
  /** Largest payload that the target takes, in bytes. */
  readonly bytesMax: number;
}

/** The slices with bytes in place of references; messages for which that cannot be are rejected in `draft`. */
export async function withBytes(
  slices: readonly InputSlice[],
  payloads: SinkPayloads,
  draft: Draft,
): Promise<InputSlice[]> {
  const leaving: InputSlice[] = [];
  for (const slice of slices) leaving.push(await sliceWithBytes(slice, payloads, draft));
  return leaving;
}

async function sliceWithBytes(slice: InputSlice, payloads: SinkPayloads, draft: Draft): Promise<InputSlice> {
  const rows = slice.batch.rows();
  const out: Json[] = [];
  const kept: number[] = [];
  const failures: MessageFailure[] = [];
  let hasChanged = false;
  for (const [index, row] of rows.entries()) {
    try {
      const whole = await mapPayloads(row, async (payload, value) =>
        "sha256" in payload ? bytesOf(payload, payloads) : value,
      );
      hasChanged ||= whole !== row;
      out.push(whole);
      kept.push(index);
    } catch (error) {
      if (!(error instanceof MillraceError) || error.kind === "transient" || error.kind === "programmer") throw error;
      failures.push({ index, error });
    }
  }
  if (failures.length > 0) draft.reject(slice, failures);
  if (!hasChanged && failures.length === 0) return slice;
  return { ...slice, batch: new RowBatch(out), positions: slice.positions.select(Uint32Array.from(kept)) };
}

/** @throws PAYLOAD-TOO-LARGE, PAYLOAD-MISSING, PAYLOAD-VALUE it has another length, PAYLOAD-LEASE-LOST (transient) */
export async function bytesOf(reference: PayloadReference, { exchange, bytesMax }: SinkPayloads): Promise<Json> {
  if (reference.length > bytesMax) {
    const message = `a payload of ${reference.length} bytes leaves the host where at most ${bytesMax} may`;
    throw payloadError("PAYLOAD-TOO-LARGE", message, { details: { bytes: reference.length, bytesMax } });
  }
  const lease = await exchange.open(reference);
  const { length } = lease.token;
  if (length !== reference.length) {
    lease.release();
    throw payloadError("PAYLOAD-VALUE", `a reference says ${reference.length} bytes of a payload that has ${length}`);
  }
  const value = lease.read((bytes) => inlineValue({ format: reference.format, bytes }));
  // Only now is it known that every byte was the payload's (P-R6).
  if (lease.release()) return value;
  throw payloadError("PAYLOAD-LEASE-LOST", "a payload was freed while it was sent");
}
