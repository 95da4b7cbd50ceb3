import {
  feedSource,
  httpPush,
  metronome,
  payloadSource,
  personalFeed,
  personalSource,
  type TakenTimeOptions,
  telemetry,
} from "@millrace/actors";
import {
  type AnyNodeModel,
  type CommittedNode,
  durationMs,
  type Env,
  type Feed,
  type HostProbe,
  httpKindOf,
  type PayloadFormat,
  type Place,
  parseTarget,
  type SourceConnector,
  type SourceDefinition,
  type SourceNode,
  streamOf,
} from "@millrace/engine";
import type { CsvOptions, FileSourceOptions } from "@millrace/streams/file";
import { opsError } from "../errors.ts";
import { BROKER_SOURCES, type FedSource } from "./broker-sources.ts";
import { addressOfEvents, feedOfEvents, pushOfEvents, sourceOfEvents } from "./cloud-events.ts";
import type { CompileContext } from "./compile-context.ts";
import { decoderOf } from "./message-formats.ts";
import { placedSource } from "./placed-source.ts";
import { webFeed } from "./web-sources.ts";
import { webhookKeys } from "./webhook-keys.ts";

type SourceModel = Extract<AnyNodeModel, { kind: "source" }>;

export async function compileSource(node: SourceModel, context: CompileContext): Promise<SourceNode | CommittedNode> {
  const { name, definition } = node;
  const target = parseTarget(definition.from) ?? { scheme: "", address: "" };
  const { scheme, address } = target;
  const { env } = context.options;
  const place = context.place(name, "from");
  const web = httpKindOf(target);
  if (web !== undefined) return feedNode(node, { feed: await webFeed(node, web, context) }, context);
  switch (scheme) {
    case "file":
      return compileFileSource(node, address, context);
    case "http":
      // Sealed as they are pushed; here it only shows whether that can be.
      context.personal(name);
      requireSigned(node, context);
      return {
        role: "committed",
        isSource: true,
        make: () => httpPush({ ...pushOfEvents(node), eventTime: takenTimes(node, env) }),
      };
    case "metronome":
      return { role: "committed", isSource: true, make: () => metronome({ everyMs: durationMs(address) }, env) };
    case "cron":
      return { role: "committed", isSource: true, make: () => metronome({ cron: address.trim() }, env) };
    case "telemetry":
      return compileTelemetry(env);
    default: {
      const open = BROKER_SOURCES.get(scheme);
      if (open === undefined)
        throw opsError("HOST-CONNECTOR", `no source for ${scheme}: is part of this host`, { place });
      const id = streamOf(context.model.name, name);
      const placeOf = (...keys: readonly string[]): Place => context.place(name, ...keys);
      const { registry, grpc, jms, types } = definition;
      const decoder = () => decoderOf(registry, context, (...keys) => placeOf("registry", ...keys));
      const scope = { id, context, place, placeOf, decoder, grpc, jms, types };
      const opened = await open(addressOfEvents(node, address), scope);
      refuseOther("feed" in opened ? "speed" : "idle", node, context);
      if ("feed" in opened) return feedNode(node, opened, context);
      return sourceNode(node, placedSource(opened.connector, place), context);
    }
  }
}

const REFUSED = {
  speed: "`speed`: a feed is not told again, so there is nothing to replay",
  idle: "`idle`: a source that is read says by itself that it has nothing",
} as const;

/** What a module of a graph's own turns out to be is known only now; what others cannot do was refused with the graph. */
function refuseOther(key: "speed" | "idle", { name, definition }: SourceModel, context: CompileContext): void {
  if (definition[key] === undefined) return;
  throw opsError("HOST-CONNECTOR", REFUSED[key], { place: context.place(name, key) });
}

/** Event times of what is taken once; `undefined`: it has none. */
function takenTimes(
  { timeField, definition: { watermark, idle } }: SourceModel,
  env: Env,
): TakenTimeOptions | undefined {
  if (timeField === undefined) return undefined;
  const boundMs = watermark === undefined ? 0 : durationMs(watermark);
  return { field: timeField, boundMs, env, ...(idle === undefined ? {} : { idleMs: durationMs(idle) }) };
}

function requireSigned({ name, definition: { secret } }: SourceModel, context: CompileContext): void {
  if (secret !== undefined) context.pushKeys.set(name, webhookKeys(secret, context, context.place(name, "secret")));
}

async function compileTelemetry(env: Env): Promise<CommittedNode> {
  const { machineProbe } = await import("@millrace/streams/host");
  return {
    role: "committed",
    isSource: true,
    make: () => telemetry({ probe: lateProbe(() => machineProbe(env)) }, env),
  };
}

/** A probe watches the event loop from its making on; behaviors are also made only to be looked at. */
function lateProbe(open: () => HostProbe): HostProbe {
  let probe: HostProbe | undefined;
  return {
    sample() {
      probe ??= open();
      return probe.sample();
    },
    close: () => probe?.close(),
  };
}

async function compileFileSource(node: SourceModel, address: string, context: CompileContext): Promise<SourceNode> {
  const { format, follow } = node.definition;
  const place = context.place(node.name, "from");
  context.read.push({ node: node.name, path: context.path(address), place });
  const connector = await fileConnector(
    {
      path: context.path(address),
      ...(format === undefined || format === "cloudevents" ? {} : { format }),
      ...csvOptions(node.definition),
      follow: follow === true,
    },
    context.options.env,
    place,
  );
  return sourceNode(node, connector, context);
}

function sourceNode(node: SourceModel, plain: SourceConnector, context: CompileContext): SourceNode {
  const { name, definition, timeField } = node;
  const { watermark, batch, payload } = definition;
  const personal = context.personal(name);
  const read = sourceOfEvents(node, plain);
  const sealed = personal === undefined ? read : personalSource(read, personal);
  const connector = payload === undefined ? sealed : withPayloads(sealed, name, payload, context);
  const speed = context.options.speed ?? definition.speed;
  const boundMs = watermark === undefined ? 0 : durationMs(watermark);
  return {
    role: "source",
    connector,
    ...(timeField === undefined ? {} : { eventTime: { field: timeField, boundMs } }),
    ...(speed === undefined || timeField === undefined ? {} : { speed }),
    ...(batch === undefined ? {} : { frameMessagesMax: batch }),
  };
}

function feedNode(node: SourceModel, { feed, isBounded = false }: FedSource, context: CompileContext): CommittedNode {
  const personal = context.personal(node.name);
  const read = (): Feed => feedOfEvents(node, feed());
  const { env } = context.options;
  const sealed = (): Feed => (personal === undefined ? read() : personalFeed(read(), personal, env));
  const eventTime = takenTimes(node, env);
  return { role: "committed", isSource: true, isBounded, make: () => feedSource(sealed(), { eventTime }) };
}

function withPayloads(
  connector: SourceConnector,
  node: string,
  fields: Readonly<Record<string, PayloadFormat>>,
  context: CompileContext,
): SourceConnector {
  const { payloads } = context.options;
  const intake = context.intake(node);
  if (payloads === undefined || intake === undefined) return connector;
  return payloadSource(connector, { exchange: () => payloads.exchange, intake, fields });
}

/** How cells of CSV are told apart and read, as far as a node says it. */
export function csvOptions({ delimiter, types }: Pick<SourceDefinition, "delimiter" | "types">): CsvOptions {
  return { ...(delimiter === undefined ? {} : { delimiter }), ...(types === undefined ? {} : { types }) };
}

/** Reads a file whose format the address names, or the definition says. @throws HOST-CONNECTOR */
export async function fileConnector(options: FileSourceOptions, env: Env, place: Place): Promise<SourceConnector> {
  const { fileSource } = await import("@millrace/streams/file");
  const { nativeText } = await import("@millrace/native");
  const connector = fileSource({ ...options, kernels: nativeText() }, env);
  if (connector === undefined)
    throw opsError("HOST-CONNECTOR", `the format of ${options.path} is not known`, { place });
  return connector;
}
