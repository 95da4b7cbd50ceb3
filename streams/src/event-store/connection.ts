/** The connection to an EventStoreDB server: what the string says, and what its errors mean to a log. */
import type { Readable } from "node:stream";
import { EventStoreDBClient } from "@eventstore/db-client";
import { type ErrorOptions, logError, type MillraceError, messageOf } from "@millrace/engine";
import { eventStoreLogError } from "./errors.ts";

export type Client = InstanceType<typeof EventStoreDBClient>;

/** A read or a subscription under way. */
export interface Reading extends Readable {
  cancel(): Promise<void>;
}

/** The client types the listeners of its streams by name; they are readable streams all the same. */
export function asReading(read: ReturnType<Client["readStream"]> | ReturnType<Client["readAll"]>): Reading {
  return read as unknown as Reading;
}

export interface ConnectionOptions {
  /**
   * As every client of EventStoreDB takes it: `esdb://host:port?tls=true&tlsCAFile=…`, several hosts for a cluster,
   * `userCertFile` and `userKeyFile`, `keepAliveInterval`, `defaultDeadline`.
   */
  readonly connectionString: string;
  /** In place of credentials in the string. Clients send them over TLS only. */
  readonly credentials?: { readonly username: string; readonly password: string };
}

/** Opens nothing yet: the first call does. @throws ESDB-CONFIG */
export function connect({ connectionString, credentials }: ConnectionOptions): Client {
  try {
    return EventStoreDBClient.connectionString(withCredentials(connectionString, credentials));
  } catch (cause) {
    // The string may hold a password, and so may the message of the client.
    throw eventStoreLogError("ESDB-CONFIG", "the connection string of EventStoreDB cannot be used", {
      details: { reason: messageOf(cause).split(connectionString).join("…") },
    });
  }
}

function withCredentials(connectionString: string, credentials: ConnectionOptions["credentials"]): string {
  if (credentials === undefined) return connectionString;
  const [scheme, rest] = connectionString.split("://", 2);
  const user = [credentials.username, credentials.password].map(encodeURIComponent).join(":");
  return `${scheme}://${user}@${rest?.slice(rest.lastIndexOf("@") + 1)}`;
}

/** The `type` of an error of the client. */
export function typeOf(thrown: unknown): string {
  const type = thrown instanceof Error && "type" in thrown ? thrown.type : undefined;
  return typeof type === "string" ? type : "";
}

const UNREACHABLE: ReadonlySet<string> = new Set([
  "unavailable",
  "cancelled",
  "deadline-exceeded",
  "timeout",
  "not-leader",
]);

/** What the client says when no node of a cluster told who leads it; such an error has no type. */
const UNDISCOVERED = /^Failed to discover/;
/** What TLS says when the two sides do not trust or understand each other; the client calls the server unavailable then. */
const UNTRUSTED = /certificate|altnames|wrong version number|packet length too long|\bCERT_|\bERR_(?:TLS|SSL)_/i;

export function isUnreachable(thrown: unknown): boolean {
  if (typeOf(thrown) === "") return UNDISCOVERED.test(messageOf(thrown));
  return UNREACHABLE.has(typeOf(thrown)) && !isUntrusted(thrown);
}

function isUntrusted(thrown: unknown): boolean {
  return typeOf(thrown) === "unavailable" && UNTRUSTED.test(messageOf(thrown));
}

/** An error of a read as one of this log. */
export function readError(cause: unknown): MillraceError {
  const options: ErrorOptions = { cause };
  if (isUnreachable(cause)) return eventStoreLogError("ESDB-UNREACHABLE", "EventStoreDB does not answer", options);
  if (isUntrusted(cause))
    return eventStoreLogError("ESDB-TLS", "there is no trusted connection to EventStoreDB", options);
  if (typeOf(cause) === "access-denied")
    return eventStoreLogError("ESDB-DENIED", "EventStoreDB denies access", options);
  return eventStoreLogError("ESDB-FAILED", `EventStoreDB refused a request: ${messageOf(cause)}`, options);
}

/** The same of an append: one that was sent and not answered may have happened. */
export function appendError(cause: unknown): MillraceError {
  if (!isUnreachable(cause)) return readError(cause);
  return logError("LOG-UNKNOWN", "EventStoreDB did not answer an append", { cause });
}
