/** What a log on a server is called, by the server's own content: the id of the first event of a stream that is kept for it. */
import { jsonEvent, NO_STREAM } from "@eventstore/db-client";
import type { Env } from "@millrace/engine";
import { typeOf } from "./connection.ts";
import type { Server } from "./server.ts";
import { uuidOf } from "./wire-event.ts";

const NAMED = "LogNamed";

/** 32 hex digits; whoever comes first draws them. */
export async function logName(server: Server, stream: string, env: Env): Promise<string> {
  const known = await firstId(server, stream);
  if (known !== undefined) return known;
  const event = jsonEvent({ id: uuidOf(env.random.bytes(16)), type: NAMED, data: {} });
  try {
    const options = { expectedRevision: NO_STREAM, requiresLeader: true } as const;
    await server.call((client) => client.appendToStream(stream, event, options));
  } catch (thrown) {
    // Another host was first, or it was this one and the answer was lost.
    if (typeOf(thrown) !== "wrong-expected-version") throw thrown;
  }
  return (await firstId(server, stream)) ?? hexOf(event.id);
}

function firstId(server: Server, stream: string): Promise<string | undefined> {
  return server.call(async (client) => {
    let id: string | undefined;
    try {
      // To its end: a read of this client that is left early is never closed.
      for await (const { event } of client.readStream(stream, { maxCount: 1, requiresLeader: true }))
        if (event !== undefined) id = hexOf(event.id);
    } catch (thrown) {
      if (typeOf(thrown) !== "stream-not-found") throw thrown;
    }
    return id;
  });
}

const hexOf = (uuid: string): string => uuid.replaceAll("-", "").toLowerCase();
