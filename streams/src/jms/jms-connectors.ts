/** Feeds and sinks by what a `jms:` address names, over a process in Java that runs the vendor's client. */
import { durationMs, type Env, type Feed, type JmsAddress, type SinkConnector } from "@millrace/engine";
import { jsonDecoder, jsonEncoder } from "../format/json-format.ts";
import type { MessageDecoder, MessageEncoder } from "../format/message-format.ts";
import { Connection } from "../resilience/connection.ts";
import { policyOf } from "../resilience/endpoint.ts";
import { messageSink } from "../resilience/message-sink.ts";
import type { ResiliencePolicy } from "../resilience/policy.ts";
import { resilientFeed } from "../resilience/resilient-feed.ts";
import { within } from "../resilience/within.ts";
import { BridgeLink, type BridgeProgram, type JmsClient } from "./bridge-link.ts";
import { Bridges } from "./bridges.ts";
import { destinationFeed } from "./destination-feed.ts";
import { destinationSink } from "./destination-sink.ts";
import { jmsError } from "./errors.ts";

export interface JmsOptions {
  /** Names the node among all that use the broker: graph and node. */
  readonly id: string;
  readonly program: BridgeProgram;
  readonly clientAt: (endpoint: string) => JmsClient;
  /** Texts that must never be shown, as they are in the settings of the client. */
  readonly secrets?: readonly string[] | undefined;
  /** Longest body of a message. Default 16 MiB. */
  readonly bytesMax?: number | undefined;
  /** Overrides what the address says of connections. */
  readonly policy?: Partial<ResiliencePolicy> | undefined;
}

const PREFETCH = 1000;
const BYTES_MAX = 16 * 1024 * 1024;
/** A JVM has to start, too. */
const CONNECT_TIMEOUT_MS = 20_000;

export interface JmsFeedOptions extends JmsOptions {
  /** What bodies are, other than maps. Default JSON. */
  readonly format?: MessageDecoder | undefined;
}

/** Messages are acknowledged when they are settled. */
export function jmsFeed(address: JmsAddress, env: Env, options: JmsFeedOptions): Feed {
  const { format = jsonDecoder } = options;
  const { options: said, kind, target } = address;
  const deliveries = said.get("deliveries");
  const subscription = kind === "topic" ? (said.get("subscription") ?? `millrace/${options.id}`) : undefined;
  const driver = destinationFeed({
    kind,
    name: target,
    prefetch: Number(said.get("prefetch") ?? PREFETCH),
    ids: said.get("ids"),
    selector: said.get("selector"),
    subscription,
    envelope: said.get("envelope") === "true",
    deliveriesMax: deliveries === undefined ? undefined : Number(deliveries),
    bytesMax: options.bytesMax ?? BYTES_MAX,
    takesMaps: format === jsonDecoder,
  });
  return resilientFeed(connectionOf(address, env, options, subscription), driver, env, format);
}

export interface JmsSinkOptions extends JmsOptions {
  /** What bodies are. Default JSON. */
  readonly format?: MessageEncoder | undefined;
}

export function jmsSink(address: JmsAddress, env: Env, options: JmsSinkOptions): SinkConnector {
  const { format = jsonEncoder } = options;
  const { options: said, kind, target } = address;
  const expiry = said.get("expiry");
  const body = said.get("body") ?? (format.isBinary === true ? "bytes" : "text");
  const driver = destinationSink({
    id: options.id,
    kind,
    name: target,
    body: body === "map" || body === "bytes" ? body : "text",
    type: said.get("type"),
    priority: said.get("priority"),
    correlation: said.get("correlation"),
    properties: said.get("properties")?.split(",") ?? [],
    expiryMs: expiry === undefined ? 0 : durationMs(expiry),
    bytesMax: options.bytesMax ?? BYTES_MAX,
  });
  return messageSink(connectionOf(address, env, options), driver, format);
}

/** Makes the connection factory, and no connection. @throws JMS-CLASS, JMS-FACTORY, JMS-BRIDGE */
export async function checkJmsClient(
  { endpoints: [endpoint = ""] }: JmsAddress,
  env: Env,
  { program, clientAt, secrets }: Pick<JmsOptions, "program" | "clientAt" | "secrets">,
): Promise<void> {
  const giveUp = new AbortController();
  const late = (): Error => {
    giveUp.abort();
    return jmsError("JMS-BRIDGE", `\`${program.command.command}\` does not answer`);
  };
  const checking = BridgeLink.check({ program, client: clientAt(endpoint), secrets, env }, giveUp.signal);
  await within(env, CONNECT_TIMEOUT_MS, checking, late);
}

function connectionOf(
  address: JmsAddress,
  env: Env,
  { program, clientAt, secrets = [], policy }: JmsOptions,
  clientId?: string,
): Connection<BridgeLink> {
  const { endpoints, user, password } = address;
  const hidden = password === undefined ? secrets : [...secrets, password];
  const login = { user, password, clientId };
  const bridges = new Bridges({ program, clientAt, secrets: hidden, login, env });
  return new Connection<BridgeLink>({
    name: `jms://${endpoints.join(",")}`,
    endpoints,
    env,
    policy: { connectTimeoutMs: CONNECT_TIMEOUT_MS, ...policyOf(address), ...policy },
    driver: {
      connect: (endpoint, signal) => bridges.connect(endpoint, signal),
      probe: (link) => link.ping(),
      ended: (link) => link.ended,
      disconnect: (link) => link.end(),
      unwanted: () => bridges.end(),
    },
  });
}
