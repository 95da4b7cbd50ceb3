/** A core NATS subject as a feed. What is sent while the connection is down is not seen by anybody. */
import { type Env, type Feed, type Json, MillraceError, sleep } from "@millrace/engine";
import type { NatsConnection } from "nats";
import type { Connection } from "../resilience/connection.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true });
const RETRY_MS = 100;

export function coreFeed(connection: Connection<NatsConnection>, subject: string, env: Env): Feed {
  return {
    connection: () => connection.status,
    async run(take, lost, signal) {
      signal.addEventListener("abort", () => void connection.disconnect(), { once: true });
      while (!signal.aborted) {
        try {
          await listen(await connection.acquire(), subject, take, lost);
        } catch (error) {
          const waitMs = error instanceof MillraceError ? error.retryAfterMs : undefined;
          await sleep(env, waitMs ?? RETRY_MS, signal).catch(() => undefined);
        }
      }
    },
  };
}

/** Resolves when the connection has ended. */
async function listen(
  nc: NatsConnection,
  subject: string,
  take: (message: Json) => void,
  lost: (count: number, reason: string) => void,
): Promise<void> {
  nc.subscribe(subject, {
    callback: (error, message) => {
      const row = error === null ? parsed(message.data) : undefined;
      if (row === undefined) lost(1, error === null ? "was no JSON" : error.message);
      else take(row);
    },
  });
  await nc.closed();
}

function parsed(data: Uint8Array): Json | undefined {
  try {
    return JSON.parse(utf8.decode(data)) as Json;
  } catch {
    return undefined;
  }
}
