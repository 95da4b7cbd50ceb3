import { isAbsolute, join, relative, resolve } from "node:path";
import { connectorSink, discardSink, projectionSink, revealedSink, type SinkPayloads } from "@millrace/actors";
import {
  type AnyNodeModel,
  type CommittedNode,
  type Place,
  parseTarget,
  type SinkConnector,
  streamOf,
} from "@millrace/engine";
import { opsError } from "../errors.ts";
import { BROKER_SINKS } from "./broker-sinks.ts";
import { eventModeOf, sinkOfEvents } from "./cloud-events.ts";
import type { CompileContext } from "./compile-context.ts";
import { encoderOf } from "./message-formats.ts";
import { openSocket, openWebhook } from "./web-sinks.ts";

type SinkModel = Extract<AnyNodeModel, { kind: "sink" }>;

export async function compileSink(node: SinkModel, context: CompileContext): Promise<CommittedNode> {
  const { name, definition } = node;
  const { scheme, address } = parseTarget(definition.to) ?? { scheme: "", address: "" };
  const place = context.place(name, "to");
  switch (scheme) {
    case "projection": {
      const key = definition.key ?? [];
      context.projections.push({ name: address, key, streams: [streamOf(context.model.name, name)] });
      return { role: "committed", isSink: true, make: () => projectionSink({ name: address, key }) };
    }
    case "discard":
      return { role: "committed", isSink: true, make: discardSink };
    default: {
      const payloads = payloadsLeaving(scheme, context);
      const plain = await sinkConnector(node, scheme, address, context, place);
      const sealed = sinkOfEvents(node, context.model.name, plain);
      const keys = definition.reveal === true ? context.keys(context.place(name, "reveal")) : undefined;
      const connector = keys === undefined ? sealed : () => revealedSink(sealed(), keys.revelation);
      return { role: "committed", isSink: true, make: () => connectorSink(connector(), payloads) };
    }
  }
}

const MIB = 1024 * 1024;

/** Largest payload that leaves by a scheme, as base64 within what its targets take by default. */
const PAYLOAD_BYTES_MAX: Readonly<Record<string, number>> = {
  nats: 0.7 * MIB,
  redis: 256 * MIB,
  // The broker takes messages of up to 128 MiB.
  rabbitmq: 90 * MIB,
  http: 64 * MIB,
  https: 64 * MIB,
  ws: 64 * MIB,
  wss: 64 * MIB,
};
/** Files and standard output take what a string can be. */
const PAYLOAD_BYTES_MAX_ELSE = 256 * MIB;

function payloadsLeaving(scheme: string, { options: { payloads } }: CompileContext): SinkPayloads | undefined {
  if (payloads === undefined) return undefined;
  return {
    bytesMax: Math.floor(PAYLOAD_BYTES_MAX[scheme] ?? PAYLOAD_BYTES_MAX_ELSE),
    get exchange() {
      return payloads.exchange;
    },
  };
}

/** Folder among the files of sinks where they write down which they have begun. */
const CLAIMS = ".claims";

/** A function that makes the connector: each incarnation has its own. */
async function sinkConnector(
  { name, definition }: SinkModel,
  scheme: string,
  address: string,
  context: CompileContext,
  place: Place,
): Promise<() => SinkConnector> {
  if (scheme === "file") {
    const { fileFormatOf, fileSink } = await import("@millrace/streams/file");
    const path = outPath(address, context, place);
    const replace = definition.replace === true || context.options.replaced?.has(path) === true;
    context.written.push({ node: name, path, place, replace });
    const claim = join(context.options.out, CLAIMS, `${encodeURIComponent(streamOf(context.model.name, name))}.json`);
    const format = (definition.format ?? fileFormatOf(path)) === "csv" ? "csv" : "ndjson";
    const { delimiter } = definition;
    return () => fileSink({ path, format, claim, replace, ...(delimiter === undefined ? {} : { delimiter }) });
  }
  if (scheme === "http" || scheme === "https") return openWebhook({ name, definition }, context);
  if (scheme === "ws" || scheme === "wss") return openSocket({ name, definition }, context);
  if (scheme === "stdout") {
    const { stdoutSink } = await import("./stdout-sink.ts");
    return stdoutSink;
  }
  const open = BROKER_SINKS.get(scheme);
  if (open === undefined) throw opsError("HOST-CONNECTOR", `no sink for ${scheme}: is part of this host`, { place });
  const placeOf = (...keys: readonly string[]): Place => context.place(name, ...keys);
  const said = { registry: definition.registry, events: eventModeOf(definition) };
  return open(address, {
    id: streamOf(context.model.name, name),
    keys: definition.key ?? [],
    context,
    place,
    placeOf,
    encoder: (to) => encoderOf(said, to, context, (...keys) => placeOf("registry", ...keys)),
    grpc: definition.grpc,
    jms: definition.jms,
  });
}

/** Two data directories must not write one file, so relative addresses lie in the data directory. */
function outPath(address: string, context: CompileContext, place: Place): string {
  const { out } = context.options;
  const path = resolve(out, address);
  if (!isAbsolute(address) && relative(out, path).startsWith(".."))
    throw opsError("HOST-PATH", `\`${address}\` leaves the output folder of the data directory`, { place });
  return path;
}
