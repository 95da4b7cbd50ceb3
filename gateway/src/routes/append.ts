import type { StreamAppend } from "@millrace/engine";
import type { Static } from "typebox";
import { gatewayError } from "../errors.ts";
import { conditionOf } from "../eventstore/append-condition.ts";
import { clientStreams, isOwnStream } from "../eventstore/client-streams.ts";
import {
  type Author,
  type ClientEvent,
  jsonEvent,
  mustBeWritableType,
  storedEvent,
} from "../eventstore/stored-event.ts";
import { StreamWriter } from "../eventstore/stream-writer.ts";
import { uuidBytes } from "../eventstore/uuid.ts";
import { AppendAnswer, AppendBody } from "../schema/append.ts";
import { NoQuery } from "../schema/field.ts";
import { problemResponses } from "../schema/problem.ts";
import type { App, RouteContext } from "./route-context.ts";

type Asked = Static<typeof AppendBody>["appends"][number];

/** Events of the system and of graphs are written by those alone. */
export function appendRoutes(app: App, { deps, guard }: RouteContext): void {
  const { log, env, version, isReserved = () => false } = deps;
  const writer = new StreamWriter({
    log,
    env,
    ...clientStreams(log),
    isReserved: (stream) => stream.startsWith("$") || isOwnStream(stream) || isReserved(stream),
    appendBytesMax: log.appendBytesMax,
  });

  app.post(
    "/api/v1/events",
    {
      schema: {
        tags: ["events"],
        summary: "Appends events to one or more streams: all of them, or none",
        description:
          "With a `condition` they are appended only if no event that passes one of its filters stands after its position: 409 LOG-CONDITION otherwise, whose `details.position` is the first that does. Read, decide, append with the position up to which you had read; when it is refused, read on from there and decide again. Of writers that decided on the same events exactly one is let through.",
        querystring: NoQuery,
        body: AppendBody,
        response: { 200: AppendAnswer, ...problemResponses },
      },
    },
    async (request) => {
      const { appends, condition } = request.body;
      const author: Author = { principal: guard.principal(request), codeVersion: version };
      mustBeDistinct(appends);
      const stored = appends.map((append) => storedAppend(append, author, () => env.random.bytes(16)));
      const { position, firstPosition, revisions, repeated } = await writer.appendAll(
        stored,
        condition && conditionOf(condition, log),
      );
      return { position, firstPosition, revisions: [...revisions], repeated };
    },
  );
}

function mustBeDistinct(appends: readonly Asked[]): void {
  const streams = new Set(appends.map(({ stream }) => stream));
  if (streams.size < appends.length) throw gatewayError("HTTP-INVALID", "body/appends names a stream twice");
}

function storedAppend({ stream, expected, events }: Asked, author: Author, newId: () => Uint8Array): StreamAppend {
  // The schema has no other texts.
  const revision = expected as StreamAppend["expected"];
  return { stream, expected: revision, events: events.map((event) => storedEvent(clientEvent(event, newId), author)) };
}

function clientEvent(
  { id, type, data, metadata, tags }: Asked["events"][number],
  newId: () => Uint8Array,
): ClientEvent {
  mustBeWritableType(type);
  if (metadata !== undefined && "$condition" in metadata)
    throw gatewayError("HTTP-INVALID", "the condition of an append is `condition` beside `appends`, not metadata");
  const all = { ...metadata, ...(tags === undefined ? {} : { $tags: tags }) };
  const event = jsonEvent(id === undefined ? newId() : uuidBytes(id), type, JSON.stringify(data));
  return Object.keys(all).length === 0 ? event : { ...event, metadata: Buffer.from(JSON.stringify(all), "utf8") };
}
