/** Sources, feeds and sinks by what a `rabbitmq:` address names, over AMQP 0.9.1. */
import {
  durationMs,
  type Env,
  type Feed,
  type RabbitmqAddress,
  type SinkConnector,
  type SourceConnector,
} from "@millrace/engine";
import { jsonDecoder, jsonEncoder } from "../format/json-format.ts";
import type { MessageDecoder, MessageEncoder } from "../format/message-format.ts";
import { Connection } from "../resilience/connection.ts";
import { hostAndPort, policyOf, type Tls } from "../resilience/endpoint.ts";
import { messageSink } from "../resilience/message-sink.ts";
import { messageSource } from "../resilience/message-source.ts";
import type { ResiliencePolicy } from "../resilience/policy.ts";
import { resilientFeed } from "../resilience/resilient-feed.ts";
import { type OwnQueue, queueFeed } from "./queue-feed.ts";
import { queueSink } from "./queue-sink.ts";
import { RabbitLink } from "./rabbit-link.ts";
import { streamSource } from "./stream-source.ts";

export interface RabbitmqOptions {
  /** Names the node among all that use the broker: graph and node. */
  readonly id: string;
  /** Absent: the connection is not encrypted. */
  readonly tls?: Tls | undefined;
  /** Overrides what the address says of connections. */
  readonly policy?: Partial<ResiliencePolicy> | undefined;
}

export interface RabbitmqFeedOptions extends RabbitmqOptions {
  /** What bodies are. Default JSON. */
  readonly format?: MessageDecoder | undefined;
}

export interface RabbitmqSourceOptions extends RabbitmqFeedOptions {
  /** Wait for more before the source counts as idle, in ms. Default 250. */
  readonly pollMs?: number;
  /** How long a stream may end before the cursor until it counts as another one, in ms. Default 30 s. */
  readonly shorterMs?: number;
}

export interface RabbitmqSinkOptions extends RabbitmqOptions {
  /** Field of a row with its routing key. Absent: the address says it, or it is the name of the queue. */
  readonly key?: string | undefined;
  /** What bodies are. Default JSON. */
  readonly format?: MessageEncoder | undefined;
}

const PREFETCH = 1000;
/** An exchange's queue that nobody reads is deleted after so long. */
const EXPIRY = "1d";
/** In which the broker notices that the other end of a connection is gone, and hands its messages to others. */
const HEARTBEAT_S = 30;
/** Of the protocol. A queue has as many as it was made with. */
const PRIORITY_MAX = 255;
const VHOST = "/";
/** The broker's own, which it admits from its own machine only. */
const GUEST = "guest";

/** Messages are acknowledged when they are settled. */
export function rabbitmqFeed(address: RabbitmqAddress, env: Env, options: RabbitmqFeedOptions): Feed {
  const deliveries = address.options.get("deliveries");
  const driver = queueFeed({
    queue: address.kind === "queue" ? address.target : ownQueue(address, options.id),
    prefetch: Number(address.options.get("prefetch") ?? PREFETCH),
    hasIds: address.options.get("ids") === "message",
    envelope: address.options.get("envelope") === "true",
    ...(deliveries === undefined ? {} : { deliveriesMax: Number(deliveries) }),
  });
  return resilientFeed(connectionOf(address, env, options), driver, env, options.format);
}

/** A stream. */
export function rabbitmqSource(address: RabbitmqAddress, env: Env, options: RabbitmqSourceOptions): SourceConnector {
  const { target, options: asked } = address;
  const { pollMs, shorterMs, format = jsonDecoder } = options;
  const driver = streamSource(
    {
      stream: target,
      prefetch: Number(asked.get("prefetch") ?? PREFETCH),
      envelope: asked.get("envelope") === "true",
      gap: asked.get("gap") === "record" ? "record" : "stop",
      untilNow: asked.get("until") === "now",
      ...(pollMs === undefined ? {} : { pollMs }),
      ...(shorterMs === undefined ? {} : { shorterMs }),
    },
    env,
  );
  return messageSource(connectionOf(address, env, options), driver, format);
}

export function rabbitmqSink(address: RabbitmqAddress, env: Env, options: RabbitmqSinkOptions): SinkConnector {
  const { id, key, format = jsonEncoder } = options;
  const isQueue = address.kind === "queue";
  const priority = address.options.get("priority");
  const driver = queueSink({
    id,
    priority: priority === undefined ? undefined : { said: priority, most: PRIORITY_MAX },
    ...(isQueue ? { queue: address.target } : { exchange: address.target }),
    key: address.options.get("key") ?? (isQueue ? address.target : ""),
    ...(key === undefined ? {} : { keyField: key }),
  });
  return messageSink(connectionOf(address, env, options), driver, format);
}

/** Another key is another queue, so that messages of the old one do not go on coming. */
function ownQueue({ target, options }: RabbitmqAddress, id: string): OwnQueue {
  const key = options.get("key") ?? "";
  return {
    exchange: target,
    key,
    name: options.get("queue") ?? `millrace/${id}/${key}`,
    type: options.get("type") === "classic" ? "classic" : "quorum",
    expiryMs: durationMs(options.get("expiry") ?? EXPIRY),
  };
}

function connectionOf(
  address: RabbitmqAddress,
  env: Env,
  { id, tls, policy }: RabbitmqOptions,
): Connection<RabbitLink> {
  const { endpoints, user, password, options } = address;
  const server = {
    protocol: tls === undefined ? "amqp" : "amqps",
    username: user ?? GUEST,
    password: password ?? (user === undefined ? GUEST : ""),
    // The client unescapes it once more.
    vhost: encodeURIComponent(options.get("vhost") ?? VHOST),
    heartbeat: HEARTBEAT_S,
    ca: tls?.ca,
    connectionName: `millrace/${id}`,
  };
  return new Connection<RabbitLink>({
    name: `rabbitmq://${endpoints.join(",")}`,
    endpoints,
    env,
    policy: { ...policyOf(address), ...policy },
    driver: {
      connect(endpoint) {
        const { host, port } = hostAndPort(endpoint);
        return RabbitLink.open({ ...server, hostname: host, port }, env);
      },
      probe: (link) => link.ping(),
      ended: (link) => link.ended,
      disconnect: (link) => link.end(),
    },
  });
}
