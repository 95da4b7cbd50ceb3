/** Feeds and sinks by what an `amqp10:` address names, over AMQP 1.0. */
import type { Amqp10Address, Env, Feed, SinkConnector } from "@millrace/engine";
import { jsonEncoder } from "../format/json-format.ts";
import type { MessageDecoder, MessageEncoder } from "../format/message-format.ts";
import { Connection } from "../resilience/connection.ts";
import { policyOf, type Tls } from "../resilience/endpoint.ts";
import { messageSink } from "../resilience/message-sink.ts";
import type { ResiliencePolicy } from "../resilience/policy.ts";
import { resilientFeed } from "../resilience/resilient-feed.ts";
import { AmqpLink } from "./amqp-link.ts";
import { nodeFeed } from "./node-feed.ts";
import { nodeSink } from "./node-sink.ts";

export interface Amqp10Options {
  /** Names the node among all that use the broker: graph and node. */
  readonly id: string;
  /** Absent: the connection is not encrypted. */
  readonly tls?: Tls | undefined;
  /** Overrides what the address says of connections. */
  readonly policy?: Partial<ResiliencePolicy> | undefined;
}

const PREFETCH = 1000;
/** Of the protocol. Brokers that know ten take more for the highest. */
const PRIORITY_MAX = 255;

export interface Amqp10FeedOptions extends Amqp10Options {
  /** What bodies are. Default JSON. */
  readonly format?: MessageDecoder | undefined;
}

/** Messages are accepted when they are settled. */
export function amqp10Feed(address: Amqp10Address, env: Env, options: Amqp10FeedOptions): Feed {
  const { options: said, kind, target } = address;
  const prefetch = Number(said.get("prefetch") ?? PREFETCH);
  const selector = said.get("selector");
  const deliveries = said.get("deliveries");
  const subscription = kind === "topic" ? (said.get("subscription") ?? `millrace/${options.id}`) : undefined;
  const driver = nodeFeed({
    kind,
    address: target,
    prefetch,
    hasIds: said.get("ids") === "message",
    envelope: said.get("envelope") === "true",
    ...(selector === undefined ? {} : { selector }),
    ...(subscription === undefined ? {} : { subscription }),
    ...(deliveries === undefined ? {} : { deliveriesMax: Number(deliveries) }),
  });
  const connection = connectionOf(address, env, options, prefetch, subscription);
  return resilientFeed(connection, driver, env, options.format);
}

export interface Amqp10SinkOptions extends Amqp10Options {
  /** What bodies are. Default JSON. */
  readonly format?: MessageEncoder | undefined;
}

export function amqp10Sink(address: Amqp10Address, env: Env, options: Amqp10SinkOptions): SinkConnector {
  const { kind, target } = address;
  const said = address.options.get("priority");
  const priority = said === undefined ? undefined : { said, most: PRIORITY_MAX };
  const driver = nodeSink({ id: options.id, kind, address: target, priority });
  return messageSink(connectionOf(address, env, options, 0), driver, options.format ?? jsonEncoder);
}

function connectionOf(
  address: Amqp10Address,
  env: Env,
  { tls, policy }: Amqp10Options,
  incomingMax: number,
  container?: string,
): Connection<AmqpLink> {
  const { endpoints, user, password, options } = address;
  const server = { user, password, hostname: options.get("hostname"), container, incomingMax, tls };
  return new Connection<AmqpLink>({
    name: `amqp10://${endpoints.join(",")}`,
    endpoints,
    env,
    policy: { ...policyOf(address), ...policy },
    driver: {
      connect: (endpoint, signal) => AmqpLink.open(endpoint, server, signal),
      probe: (link) => link.ping(),
      ended: (link) => link.ended,
      disconnect: (link) => link.end(),
    },
  });
}
