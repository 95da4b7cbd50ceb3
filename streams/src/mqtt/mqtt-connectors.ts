/** Feeds and sinks by what an `mqtt:` address names, over MQTT 5. The client's own reconnecting is off. */
import { durationMs, type Env, type Feed, type MqttAddress, type SinkConnector } from "@millrace/engine";
import type { IClientOptions } from "mqtt";
import { jsonEncoder } from "../format/json-format.ts";
import type { MessageDecoder, MessageEncoder } from "../format/message-format.ts";
import { Connection } from "../resilience/connection.ts";
import { hostAndPort, policyOf, type Tls } from "../resilience/endpoint.ts";
import { messageSink } from "../resilience/message-sink.ts";
import type { ResiliencePolicy } from "../resilience/policy.ts";
import { resilientFeed } from "../resilience/resilient-feed.ts";
import { MqttLink } from "./mqtt-link.ts";
import { topicFeed } from "./topic-feed.ts";
import { topicSink } from "./topic-sink.ts";

export interface MqttOptions {
  /** Names the node among all that use the broker: graph and node. */
  readonly id: string;
  /** Absent: the connection is not encrypted. */
  readonly tls?: Tls | undefined;
  /** Overrides what the address says of connections. */
  readonly policy?: Partial<ResiliencePolicy> | undefined;
}

/** The broker forgets a session that nobody came back to for so long. */
const EXPIRY = "1d";
const PREFETCH = 1000;
/** How long the client itself waits for a connection; the layer's own time is up before. */
const CLIENT_TIMEOUT_MS = 60_000;

export interface MqttFeedOptions extends MqttOptions {
  /** What bodies are. Default JSON. */
  readonly format?: MessageDecoder | undefined;
}

/** Messages of quality of service 1 and 2 are acknowledged when they are settled. */
export function mqttFeed(address: MqttAddress, env: Env, options: MqttFeedOptions): Feed {
  const envelope = address.options.get("envelope") === "true";
  const driver = topicFeed({ filter: address.target, qos: address.qos, envelope });
  const connection = connectionOf(address, env, options, sessionOf(address, options.id));
  return resilientFeed(connection, driver, env, options.format);
}

export interface MqttSinkOptions extends MqttOptions {
  /** What bodies are. Default JSON. */
  readonly format?: MessageEncoder | undefined;
}

export function mqttSink(address: MqttAddress, env: Env, options: MqttSinkOptions): SinkConnector {
  const retain = address.options.get("retain") === "true";
  const driver = topicSink({ topic: address.target, qos: address.qos, retain });
  return messageSink(connectionOf(address, env, options, { clean: true }), driver, options.format ?? jsonEncoder);
}

function sessionOf({ qos, options }: MqttAddress, id: string): IClientOptions {
  if (qos === 0) return { clean: true };
  return {
    clean: false,
    clientId: options.get("session") ?? `millrace/${id}`,
    properties: {
      sessionExpiryInterval: Math.ceil(durationMs(options.get("expiry") ?? EXPIRY) / 1000),
      receiveMaximum: Number(options.get("prefetch") ?? PREFETCH),
    },
  };
}

function connectionOf(
  address: MqttAddress,
  env: Env,
  { tls, policy }: MqttOptions,
  session: IClientOptions,
): Connection<MqttLink> {
  const { endpoints, user, password } = address;
  const shared: IClientOptions = {
    protocol: tls === undefined ? "mqtt" : "mqtts",
    ...(tls?.ca === undefined ? {} : { ca: tls.ca }),
    ...(user === undefined ? {} : { username: user }),
    ...(password === undefined ? {} : { password }),
    protocolVersion: 5,
    reconnectPeriod: 0,
    resubscribe: false,
    queueQoSZero: false,
    connectTimeout: CLIENT_TIMEOUT_MS,
    ...session,
  };
  return new Connection<MqttLink>({
    name: `mqtt://${endpoints.join(",")}`,
    endpoints,
    env,
    policy: { ...policyOf(address), ...policy },
    driver: {
      connect: (endpoint, signal) => MqttLink.open({ ...shared, ...hostAndPort(endpoint) }, signal),
      probe: (link) => link.ping(),
      ended: (link) => link.ended,
      disconnect: (link) => link.end(),
    },
  });
}
