/** Events as messages of a read: encoded at once, since events of a batch may not outlive the next wait. */
import type { RecordedEvent } from "@millrace/engine";
import type { EndpointContext } from "./endpoint-context.ts";
import { type EventPlace, isHidden } from "./hidden-events.ts";
import { withKept } from "./kept-event.ts";
import { type LinkTarget, targetOf } from "./link-target.ts";
import { isClientEvent, LINK_TYPE, type RecordedOptions, writeRecorded } from "./stored-event.ts";
import { VirtualLink } from "./virtual-streams.ts";
import { WireWriter } from "./wire-writer.ts";

export interface EncodeOptions extends RecordedOptions {
  /** Whether link events bring the event that they point at. */
  readonly resolveLinks: boolean;
}

/** An event that needs its batch no more. */
export interface EncodedEvent {
  readonly position: number;
  /** `RecordedEvent`. */
  readonly recorded: Buffer;
  readonly target: LinkTarget | undefined;
  /** The event that a virtual link points at, when it is wanted. */
  readonly origin: (EventPlace & { readonly recorded: Buffer }) | undefined;
}

const OVERHEAD_BYTES = 256;

/** The first events as bytes, up to about `bytesMax` and at least one. */
export function encodeEvents(
  events: readonly RecordedEvent[],
  options: EncodeOptions,
  bytesMax: number,
): readonly EncodedEvent[] {
  const encoded: EncodedEvent[] = [];
  let bytes = 0;
  for (const event of events) {
    const one = encode(event, options);
    encoded.push(one);
    bytes += one.recorded.length + (one.origin?.recorded.length ?? 0);
    if (bytes >= bytesMax) break;
  }
  return encoded;
}

/** One `ReadResp` per event, in their order. */
export async function readResponses(
  encoded: readonly EncodedEvent[],
  context: EndpointContext,
  options: EncodeOptions,
): Promise<readonly Buffer[]> {
  const messages: Buffer[] = [];
  for (const { position, recorded, target, origin } of encoded) {
    if (origin !== undefined) {
      const event = (await isHidden(origin, context)) ? undefined : origin.recorded;
      messages.push(readResponse(event, recorded, position));
    } else if (target === undefined) messages.push(readResponse(recorded, undefined, position));
    else messages.push(readResponse(await resolve(target, context, options), recorded, position));
  }
  return messages;
}

function encode(event: RecordedEvent, options: EncodeOptions): EncodedEvent {
  const writer = new WireWriter(event.payload.length + OVERHEAD_BYTES);
  writeRecorded(writer, event, options);
  const isLink = options.resolveLinks && event.type === LINK_TYPE && isClientEvent(event);
  const encoded = { position: event.position, recorded: writer.finish() };
  if (isLink && event instanceof VirtualLink) {
    const { stream, revision, timeMs } = event.origin;
    const { recorded } = encode(event.origin, { ...options, resolveLinks: false });
    return { ...encoded, target: undefined, origin: { stream, revision, timeMs, recorded } };
  }
  return { ...encoded, target: isLink ? targetOf(event) : undefined, origin: undefined };
}

/** Nothing when the event is not there, or was pruned: then a client gets the link alone. */
async function resolve(
  target: LinkTarget,
  context: EndpointContext,
  options: EncodeOptions,
): Promise<Buffer | undefined> {
  const found = await withKept(context.log, target, (event) => {
    return { timeMs: event.timeMs, recorded: encode(event, { ...options, resolveLinks: false }).recorded };
  });
  if (found === undefined || (await isHidden({ ...target, timeMs: found.timeMs }, context))) return undefined;
  return found.recorded;
}

function readResponse(event: Buffer | undefined, link: Buffer | undefined, position: number): Buffer {
  const writer = new WireWriter((event?.length ?? 0) + (link?.length ?? 0) + 48);
  writer.message(1, (it) => {
    if (event !== undefined) it.bytes(1, event);
    if (link !== undefined) it.bytes(2, link);
    it.uint(3, position);
  });
  return writer.finish();
}
