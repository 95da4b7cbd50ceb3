/** How the method that a `grpc:` address names is called, as a node says it, its secrets put in. */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import {
  durationMs,
  extensionOf,
  type GrpcAddress,
  type GrpcListenAddress,
  type JsonObject,
  messageOf,
  type Place,
  type SinkGrpcDefinition,
  type SourceGrpcDefinition,
} from "@millrace/engine";
import type {
  GrpcFeedOptions,
  GrpcSinkOptions,
  GrpcTls,
  IntakeFeedOptions,
  ServiceDescription,
  ServiceMethod,
} from "@millrace/streams/grpc";
import { opsError } from "../errors.ts";
import { certificates } from "./certificates.ts";
import type { CompileContext } from "./compile-context.ts";
import { secretValues, withSecrets } from "./secrets.ts";

/** What sources and sinks have in common. */
type Calling = Pick<SourceGrpcDefinition, "proto" | "request" | "metadata" | "deadline" | "keepalive" | "bytes">;

interface CallScope {
  readonly address: GrpcAddress;
  readonly context: CompileContext;
  readonly place: Place;
  /** The place of a key of the node. */
  readonly placeOf: (...keys: readonly string[]) => Place;
}

/** @throws HOST-CONNECTOR, GRPC-SCHEMA */
export async function grpcFeedOptions(definition: SourceGrpcDefinition, scope: CallScope): Promise<GrpcFeedOptions> {
  const { items, cursor, id, every, silence } = definition;
  return {
    ...(await callOptions(definition, scope)),
    items,
    cursor,
    id,
    untilEnd: scope.address.options.get("until") === "end",
    ...(every === undefined ? {} : { everyMs: durationMs(every) }),
    ...(silence === undefined ? {} : { silenceMs: durationMs(silence) }),
  };
}

/** @throws HOST-CONNECTOR, GRPC-SCHEMA */
export async function grpcSinkOptions(
  definition: SinkGrpcDefinition,
  sink: string,
  scope: CallScope,
): Promise<GrpcSinkOptions> {
  const { message, id, ack, refused, inFlight } = definition;
  return { ...(await callOptions(definition, scope)), sink, message, id, ack, refused, inFlight };
}

async function callOptions(
  { proto, request = {}, metadata = {}, deadline, keepalive, bytes }: Calling,
  scope: CallScope,
): Promise<Omit<GrpcSinkOptions, "sink">> {
  const { address, context, placeOf } = scope;
  const inCall = (...keys: readonly string[]): Place => placeOf("grpc", ...keys);
  const put = ([key, text]: readonly [string, string]): readonly [string, string] => [
    key,
    withSecrets(text, context, inCall("metadata", key)),
  ];
  const texts = Object.values(metadata);
  return {
    method: await methodOf(proto, scope),
    // The graph's check has seen to it that it is JSON, since all of a graph is.
    request: request as JsonObject,
    placeOf: inCall,
    metadata: Object.fromEntries(Object.entries(metadata).map(put)),
    secrets: texts.flatMap((text) => secretValues(text, context, inCall("metadata"))),
    policy: context.options.resilience,
    channel: {
      tls: tlsOf(address, context, scope.place),
      ...(keepalive === undefined ? {} : { keepaliveMs: durationMs(keepalive) }),
      ...(bytes === undefined ? {} : { bytesMax: bytes }),
    },
    ...(deadline === undefined ? {} : { deadlineMs: durationMs(deadline) }),
  };
}

async function methodOf(proto: string, { address, context, place, placeOf }: CallScope): Promise<ServiceMethod> {
  const { serviceMethod } = await import("@millrace/streams/grpc");
  const places = { description: placeOf("grpc", "proto"), address: place };
  const { description, files } = descriptionOf(proto, context, places.description);
  const method = serviceMethod(description, address.service, address.method, places);
  for (const file of files()) await context.pin(file);
  return method;
}

interface ReadDescription {
  readonly description: ServiceDescription;
  /** All that were read when a method was looked up, as addresses of the graph file. */
  readonly files: () => readonly string[];
}

/** @throws HOST-CONNECTOR the file cannot be read */
function descriptionOf(proto: string, context: CompileContext, place: Place): ReadDescription {
  const read = [proto];
  try {
    const content = readFileSync(context.path(proto));
    if (extensionOf(proto) !== "proto") return { description: { set: content }, files: () => read };
    const imported = (name: string): string | undefined => {
      const file = join(dirname(proto), name);
      const text = textOf(context.path(file));
      if (text !== undefined) read.push(file);
      return text;
    };
    return { description: { text: content.toString("utf8"), imported }, files: () => read };
  } catch (cause) {
    const message = `the description of the service cannot be read: ${messageOf(cause)}`;
    throw opsError("HOST-CONNECTOR", message, { place, cause });
  }
}

/** What is not there is named by whoever misses something of it. */
function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** @throws HOST-CONNECTOR a file cannot be read */
function tlsOf({ options }: GrpcAddress, context: CompileContext, place: Place): GrpcTls | undefined {
  if (options.get("tls") !== "true") return undefined;
  const pem = (name: string): string | undefined => certificates(options.get(name), context, place);
  return { ca: pem("ca"), cert: pem("cert"), key: pem("key"), server: options.get("server") };
}

/** @throws HOST-CONNECTOR a file cannot be read */
export function servingTlsOf(
  { options }: GrpcListenAddress,
  context: CompileContext,
  place: Place,
): IntakeFeedOptions["tls"] {
  if (options.get("tls") !== "true") return undefined;
  const pem = (name: string): string | undefined => certificates(options.get(name), context, place);
  return { cert: pem("cert") ?? "", key: pem("key") ?? "", ca: pem("ca") };
}
