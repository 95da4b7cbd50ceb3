/**
 * Events over a broker: those of the reference library go in, in both modes, and come out in both modes, through graphs that read and
 * write them; what came out is judged without Millrace.
 */
import { CloudEvent } from "cloudevents";
import { expect, vi } from "vitest";
import { RunningGraph, WAIT } from "./running-graph.ts";

/** A message as the broker has it. */
export interface WireMessage {
  readonly body: string;
  /** Or properties, as the protocol calls them. */
  readonly headers: Readonly<Record<string, string>>;
  /** Where the protocol has a place for it beside the headers. */
  readonly contentType?: string | undefined;
}

export interface EventBroker {
  /** Four places that messages are sent to and read from, by their whole addresses. */
  readonly places: readonly EventPlace[];
  send(place: string, messages: readonly WireMessage[]): Promise<void>;
  /** All messages of a place that no graph reads, however often it is asked. */
  read(place: string): Promise<readonly WireMessage[]>;
  /** How an event is in binary mode, by somebody else than Millrace. */
  toBinary(event: CloudEvent<unknown>): WireMessage;
  ofBinary(message: WireMessage): CloudEvent<unknown>;
  /** The header that says what a structured message is, if it is a header. */
  readonly typeHeader?: string;
}

export interface EventPlace {
  readonly name: string;
  readonly source: string;
  readonly sink: string;
}

const STRUCTURED = "application/cloudevents+json; charset=utf-8";

const eventOf = (id: string, subject: string): CloudEvent<unknown> =>
  new CloudEvent<unknown>({
    id,
    source: "/shop/e",
    type: "order.made",
    time: "2026-01-02T03:04:05.000Z",
    subject,
    partof: "batch7",
    datacontenttype: "application/json",
    data: { id, név: "ő" },
  });

/** Only what hangs takes so long. */
export const EVENTS_LIMIT_MS = 90_000;

export async function expectEvents(broker: EventBroker): Promise<void> {
  const [from, between, kept, to] = broker.places as [EventPlace, EventPlace, EventPlace, EventPlace];
  const graph = await RunningGraph.start(`name: events
nodes:
  in:         { kind: source, from: "${from.source}", format: cloudevents }
  binary:     { kind: sink, input: in, to: "${between.sink}", format: cloudevents, cloudevents: { mode: binary } }
  kept:       { kind: sink, input: in, to: "${kept.sink}", format: cloudevents, cloudevents: { mode: binary } }
  again:      { kind: source, from: "${between.source}", format: cloudevents }
  structured: { kind: sink, input: again, to: "${to.sink}", format: cloudevents }
`);
  try {
    // A subscription gets what is sent after it; and what is no event is a dead letter, of the source or of who commits what it read.
    const hasLetters = (names: readonly string[]): boolean =>
      graph.status().nodes.some(({ node, deadLettered }) => names.includes(node) && deadLettered > 0);
    await vi.waitFor(async () => {
      for (const place of [from, between])
        await broker.send(place.name, [{ body: '{"not": "an event"}', headers: {} }]);
      const heard = [
        ["in", "binary", "kept"],
        ["again", "structured"],
      ].map(hasLetters);
      expect(heard).toEqual([true, true]);
    }, WAIT);
    const events = [eventOf("1", "orders/eu-1"), eventOf("2", 'kő "1" 100 %')] as const;
    const type = broker.typeHeader;
    const structured: WireMessage = {
      body: JSON.stringify(events[0].toJSON()),
      headers: type === undefined ? {} : { [type]: STRUCTURED },
      ...(type === undefined ? { contentType: STRUCTURED } : {}),
    };
    await broker.send(from.name, [structured, broker.toBinary(events[1])]);
    for (const { name } of [kept, to])
      await vi.waitFor(async () => expect(await broker.read(name)).toHaveLength(2), WAIT);
    const sent = events.map((event) => event.toJSON());
    const last = await broker.read(to.name);
    expect(last.map(({ body }) => JSON.parse(body))).toEqual(sent);
    for (const { headers, contentType } of last)
      expect(type === undefined ? contentType : headers[type]).toBe(STRUCTURED);
    const middle = await broker.read(kept.name);
    expect(middle.map((message) => broker.ofBinary(message).toJSON())).toEqual(sent);
    expect(middle.map(({ body }) => JSON.parse(body))).toEqual(events.map(({ data }) => data));
  } finally {
    await graph.stop();
  }
}

/** Binary mode by hand, for protocols that the reference library has no form of: attributes with a prefix. */
export function byHand(
  prefix: string,
  form: { readonly write?: (value: string) => string; readonly read?: (value: string) => string } = {},
): Pick<EventBroker, "toBinary" | "ofBinary"> {
  const { write = String, read = String } = form;
  return {
    toBinary(event) {
      const { data, datacontenttype, ...attributes } = event.toJSON() as Record<string, unknown>;
      const set = Object.entries(attributes).filter(([, value]) => value !== undefined);
      const headers = set.map(([name, value]) => [prefix + name, write(String(value))]);
      return {
        body: JSON.stringify(data),
        headers: Object.fromEntries(headers) as Record<string, string>,
        contentType: String(datacontenttype),
      };
    },
    ofBinary({ body, headers, contentType }) {
      const own = Object.entries(headers).filter(([name]) => name.startsWith(prefix));
      const attributes = Object.fromEntries(own.map(([name, value]) => [name.slice(prefix.length), read(value)]));
      const typed = contentType === undefined ? {} : { datacontenttype: contentType };
      return new CloudEvent<unknown>({ ...attributes, ...typed, data: JSON.parse(body) } as never);
    },
  };
}
