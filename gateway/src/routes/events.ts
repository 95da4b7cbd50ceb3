import type { EventFilter, RecordedEvent } from "@millrace/engine";
import { type PassingOptions, passingEvents } from "@millrace/projections";
import type { Static } from "typebox";
import { clientSignal } from "../client-signal.ts";
import { gatewayError } from "../errors.ts";
import { brief, describeBytes, type EventDocument, eventHead } from "../event-json.ts";
import { describeClientEvent } from "../eventstore/stored-event.ts";
import type { DescribeEvent } from "../ports.ts";
import { EventPage, EventParams, EventQuery, EventSchema, OneEventQuery } from "../schema/event.ts";
import { problemResponses } from "../schema/problem.ts";
import type { App, RouteContext } from "./route-context.ts";

const tags = ["events"];

type Query = Static<typeof EventQuery>;

/** Stored payloads of one page: it ends with the event that reaches this, so that large events do not make a large page. */
const PAGE_BYTES_MAX = 2 * 1024 * 1024;

export function eventRoutes(app: App, context: RouteContext): void {
  const { log } = context.deps;
  const own = context.deps.describeEvent ?? describeBytes;
  const describe: DescribeEvent = (event) => describeClientEvent(event) ?? own(event);

  const documentOf = (event: RecordedEvent, payload: Query["payload"]): EventDocument => {
    if (payload === "none") return { ...eventHead(event), payload: null };
    const value = describe(event);
    return { ...eventHead(event), payload: payload === "full" ? value : brief(value) };
  };

  app.get(
    "/api/v1/events",
    {
      schema: {
        tags,
        summary: "Events of the log, newest first unless told otherwise",
        querystring: EventQuery,
        response: { 200: EventPage, ...problemResponses },
      },
    },
    async (request, reply) => {
      const { query } = request;
      const range = { begin: log.base ?? 0, end: log.durableEnd };
      const events: EventDocument[] = [];
      let bytes = 0;
      for await (const batch of passingEvents(log, readOptions(query), clientSignal(request, reply))) {
        for (const event of batch) {
          events.push(documentOf(event, query.payload));
          if (query.payload !== "none") bytes += event.payload.byteLength;
          const place = query.stream === undefined ? event.position : event.revision;
          if (events.length === query.limit || bytes >= PAGE_BYTES_MAX)
            return { ...range, events, next: cursorAfter(place, query.direction) };
        }
      }
      return { ...range, events, next: null };
    },
  );

  app.get(
    "/api/v1/events/:position",
    {
      schema: {
        tags,
        summary: "One event with its whole payload",
        params: EventParams,
        querystring: OneEventQuery,
        response: { 200: EventSchema, ...problemResponses },
      },
    },
    async ({ params: { position }, query: { payload } }) => {
      for await (const batch of log.read({ from: position, direction: "forward", limit: 1 })) {
        const event = batch[0];
        if (event?.position === position) return documentOf(event, payload);
      }
      throw gatewayError("HTTP-NOT-FOUND", `there is no event at position ${position}`);
    },
  );
}

export function eventFilter(query: {
  readonly streamPrefix?: string;
  readonly type?: string;
  readonly category?: string;
  readonly graph?: string;
  readonly node?: string;
  readonly correlation?: string;
  readonly tag?: readonly string[];
}): EventFilter | undefined {
  const filter = {
    ...(query.streamPrefix === undefined ? {} : { streamPrefix: query.streamPrefix }),
    ...(query.type === undefined ? {} : { types: query.type.split(",").filter((type) => type !== "") }),
    ...(query.category === undefined ? {} : { category: query.category }),
    ...(query.graph === undefined ? {} : { graph: query.graph }),
    ...(query.node === undefined ? {} : { node: query.node }),
    ...(query.correlation === undefined
      ? {}
      : { correlationId: Uint8Array.from(Buffer.from(query.correlation, "hex")) }),
    ...(query.tag === undefined ? {} : { tags: query.tag }),
  };
  return Object.keys(filter).length > 0 ? filter : undefined;
}

function readOptions(query: Query): PassingOptions {
  const filter = eventFilter(query);
  const from = query.cursor === undefined ? query.from : placeOf(query.cursor, query.direction);
  return {
    direction: query.direction === "forward" ? "forward" : "backward",
    limit: query.limit,
    ...(query.stream === undefined ? {} : { stream: query.stream }),
    ...(from === undefined ? {} : { from }),
    ...(filter ? { filter } : {}),
  };
}

/** `f17` or `b17`: the next place to read and the way to go. */
function cursorAfter(place: number | undefined, direction: string): string | null {
  if (place === undefined) return null;
  if (direction === "forward") return `f${place + 1}`;
  return place > 0 ? `b${place - 1}` : null;
}

function placeOf(cursor: string, direction: string): number {
  const place = /^[fb](\d{1,16})$/.test(cursor) && cursor[0] === direction[0] ? Number(cursor.slice(1)) : Number.NaN;
  if (!Number.isSafeInteger(place)) throw gatewayError("HTTP-INVALID", "querystring/cursor is not one of this list");
  return place;
}
