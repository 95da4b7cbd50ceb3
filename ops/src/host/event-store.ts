/** The host's log over the EventStoreDB protocol. */
import { readFile } from "node:fs/promises";
import { type Env, messageOf } from "@millrace/engine";
import type { EventStoreEndpoint } from "@millrace/gateway";
import { opsError } from "../errors.ts";
import { VERSION } from "../version.ts";
import { describeEvent } from "./describe-event.ts";
import { GRAPHS_STREAM } from "./graph-stream.ts";
import { LOOPBACK } from "./loopback.ts";
import type { OpenedHost } from "./open-host.ts";

export interface EventStoreOptions {
  readonly port: number;
  /** PEM files of a certificate and its key; without them the port speaks HTTP/2 in clear. */
  readonly cert?: string;
  readonly key?: string;
}

export interface OpenedEventStore {
  /** What clients are given to connect. */
  readonly connectionString: string;
  close(): Promise<void>;
}

/** Streams of graphs, also those that have no events yet. */
export function reservedStreams(host: Pick<OpenedHost["host"], "list">): (stream: string) => boolean {
  return (stream) =>
    stream === GRAPHS_STREAM ||
    stream.startsWith("graph/") ||
    host.list().some(({ graph }) => stream.startsWith(`${graph}/`));
}

/** @throws HOST-PORT the port cannot be used, CLI-USAGE a file of the certificate cannot be read */
export async function openEventStore(
  { host, log }: OpenedHost,
  options: EventStoreOptions,
  env: Env,
): Promise<OpenedEventStore> {
  const tls = await readTls(options);
  const { eventStoreEndpoint } = await import("@millrace/gateway");
  const token = process.env.MILLRACE_TOKEN;
  const endpoint: EventStoreEndpoint = eventStoreEndpoint({
    log,
    env,
    version: VERSION,
    describeEvent,
    isReserved: reservedStreams(host),
    ...(tls === undefined ? {} : { tls }),
    ...(token === undefined ? {} : { token }),
    report: (thrown) => void process.stderr.write(`${messageOf(thrown)}\n`),
  });
  try {
    const port = await endpoint.listen(options.port, LOOPBACK);
    const connectionString = `esdb://${LOOPBACK}:${port}?tls=${tls !== undefined}`;
    return { connectionString, close: () => endpoint.close() };
  } catch (cause) {
    throw opsError("HOST-PORT", `port ${options.port} cannot be used: ${messageOf(cause)}`, { cause });
  }
}

async function readTls({
  cert,
  key,
}: EventStoreOptions): Promise<{ readonly cert: string; readonly key: string } | undefined> {
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined)
    throw opsError("CLI-USAGE", "--eventstore-cert and --eventstore-key go together");
  const read = (path: string): Promise<string> =>
    readFile(path, "utf8").catch((cause: unknown) => {
      throw opsError("CLI-USAGE", `${path} cannot be read: ${messageOf(cause)}`, { cause });
    });
  return { cert: await read(cert), key: await read(key) };
}
