/** Feeds and sinks by what an `activemq:` address names, over STOMP 1.2. */
import type { ActivemqAddress, Env, Feed, SinkConnector } from "@millrace/engine";
import { jsonEncoder } from "../format/json-format.ts";
import type { MessageDecoder, MessageEncoder } from "../format/message-format.ts";
import { Connection } from "../resilience/connection.ts";
import { policyOf, type Tls } from "../resilience/endpoint.ts";
import { messageSink } from "../resilience/message-sink.ts";
import type { ResiliencePolicy } from "../resilience/policy.ts";
import { resilientFeed } from "../resilience/resilient-feed.ts";
import { queueFeed } from "./queue-feed.ts";
import { queueSink } from "./queue-sink.ts";
import { StompLink } from "./stomp-link.ts";

export interface ActivemqOptions {
  /** Names the node among all that use the broker: graph and node. */
  readonly id: string;
  /** Absent: the connection is not encrypted. */
  readonly tls?: Tls | undefined;
  /** Overrides what the address says of connections. */
  readonly policy?: Partial<ResiliencePolicy> | undefined;
}

const PREFETCH = 1000;
/** Of JMS, which the broker follows. */
const PRIORITY_MAX = 9;

export interface ActivemqFeedOptions extends ActivemqOptions {
  /** What bodies are. Default JSON. */
  readonly format?: MessageDecoder | undefined;
}

/** Messages are acknowledged when they are settled. */
export function activemqFeed(address: ActivemqAddress, env: Env, options: ActivemqFeedOptions): Feed {
  const { options: said, kind } = address;
  const idHeader = said.get("ids");
  const selector = said.get("selector");
  const subscription = kind === "topic" ? (said.get("subscription") ?? `millrace/${options.id}`) : undefined;
  const driver = queueFeed({
    destination: destinationOf(address),
    prefetch: Number(said.get("prefetch") ?? PREFETCH),
    envelope: said.get("envelope") === "true",
    ...(idHeader === undefined ? {} : { idHeader }),
    ...(selector === undefined ? {} : { selector }),
    ...(subscription === undefined ? {} : { subscription }),
  });
  return resilientFeed(connectionOf(address, env, options, subscription), driver, env, options.format);
}

export interface ActivemqSinkOptions extends ActivemqOptions {
  /** What bodies are. Default JSON. */
  readonly format?: MessageEncoder | undefined;
}

export function activemqSink(address: ActivemqAddress, env: Env, options: ActivemqSinkOptions): SinkConnector {
  const { id, format = jsonEncoder } = options;
  const said = address.options.get("priority");
  const priority = said === undefined ? undefined : { said, most: PRIORITY_MAX };
  const driver = queueSink({
    id,
    destination: destinationOf(address),
    priority,
    isBinary: format.isBinary === true,
  });
  return messageSink(connectionOf(address, env, options), driver, format);
}

const destinationOf = ({ kind, target }: ActivemqAddress): string => `/${kind}/${target}`;

function connectionOf(
  address: ActivemqAddress,
  env: Env,
  { tls, policy }: ActivemqOptions,
  clientId?: string,
): Connection<StompLink> {
  const { endpoints, user: login, password: passcode } = address;
  return new Connection<StompLink>({
    name: `activemq://${endpoints.join(",")}`,
    endpoints,
    env,
    policy: { ...policyOf(address), ...policy },
    driver: {
      connect: (endpoint, signal) => StompLink.open(endpoint, { login, passcode, clientId, tls }, signal),
      probe: (link) => link.ping(),
      ended: (link) => link.ended,
      disconnect: (link) => link.end(),
    },
  });
}
