/** Feeds and sinks that call the method that a `grpc:` address names. */
import type { Metadata } from "@grpc/grpc-js";
import type { Env, Feed, GrpcAddress, Place, SinkConnector } from "@millrace/engine";
import { Connection } from "../resilience/connection.ts";
import { policyOf } from "../resilience/endpoint.ts";
import { hidden } from "../resilience/hidden.ts";
import type { ResiliencePolicy } from "../resilience/policy.ts";
import { resilientSink } from "../resilience/resilient-sink.ts";
import type { FailureContext } from "./call-failure.ts";
import { callMetadata } from "./call-metadata.ts";
import { checkSinkFields, checkSourceFields } from "./field-check.ts";
import { type GrpcChannelOptions, GrpcLink } from "./grpc-link.ts";
import { Hearing, type MethodFeedOptions, methodFeed } from "./method-feed.ts";
import { methodSink } from "./method-sink.ts";
import type { MethodSinkOptions } from "./method-sink-options.ts";

interface GrpcOptions {
  readonly channel: GrpcChannelOptions;
  /** Of every call; may hold secrets. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Texts that must never be shown, as they are in the metadata. */
  readonly secrets?: readonly string[];
  /** Overrides what the address says of connections. */
  readonly policy?: Partial<ResiliencePolicy> | undefined;
  /** The place of what the graph says of the call: `cursor`, `items`, … */
  readonly placeOf?: (...keys: readonly string[]) => Place;
}

export interface GrpcFeedOptions extends GrpcOptions, MethodFeedOptions {
  /** Without a message of a stream for so long the call counts as dead, in ms. Default never. */
  readonly silenceMs?: number;
}

export interface GrpcSinkOptions extends GrpcOptions, MethodSinkOptions {}

/** A function that makes the feed: each incarnation has its own. @throws GRPC-SCHEMA the method has no such fields, or takes a stream */
export function grpcFeed(address: GrpcAddress, env: Env, options: GrpcFeedOptions): () => Feed {
  checkSourceFields(options, options.placeOf);
  const calling = callingOf(options);
  return () => {
    const hearing = new Hearing();
    const { silenceMs } = options;
    const probe = async (): Promise<void> => {
      if (silenceMs === undefined || hearing.silentForMs(env.clock.monotonic()) < silenceMs) return;
      throw new Error(`nothing came in ${silenceMs} ms`);
    };
    return methodFeed(options, connectionOf(address, env, calling, probe), contextOf(address, options), hearing, env);
  };
}

/** A function that makes the sink: each incarnation has its own. @throws GRPC-SCHEMA the method has no such fields, or is read by a source only */
export function grpcSink(address: GrpcAddress, env: Env, options: GrpcSinkOptions): () => SinkConnector {
  checkSinkFields(options, options.placeOf);
  const calling = callingOf(options);
  // Calls have deadlines, by which a service that is silent is found out.
  const probe = (): Promise<void> => Promise.resolve();
  return () =>
    resilientSink(connectionOf(address, env, calling, probe), methodSink(options, contextOf(address, options), env));
}

/** What a connection needs. */
interface Calling {
  readonly channel: GrpcChannelOptions;
  readonly metadata: Metadata;
  readonly policy: Partial<ResiliencePolicy> | undefined;
}

/** @throws GRPC-SCHEMA a value is none that metadata can hold */
function callingOf({ channel, metadata, policy, placeOf }: GrpcOptions): Calling {
  return { channel, metadata: callMetadata(metadata, placeOf), policy };
}

function contextOf({ endpoints, service, method }: GrpcAddress, { secrets = [] }: GrpcOptions): FailureContext {
  return {
    name: `grpc://${endpoints.join(",")}/${service}/${method}`,
    hide: (text) => hidden(text, secrets),
  };
}

function connectionOf(
  address: GrpcAddress,
  env: Env,
  { channel, metadata, policy }: Calling,
  probe: (link: GrpcLink) => Promise<void>,
): Connection<GrpcLink> {
  const { endpoints } = address;
  return new Connection<GrpcLink>({
    name: `grpc://${endpoints.join(",")}`,
    endpoints,
    env,
    policy: { ...policyOf(address), ...policy },
    driver: {
      connect: (endpoint, signal) => GrpcLink.open(endpoint, channel, metadata, env, signal),
      probe,
      ended: (link) => link.ended,
      disconnect: async (link) => link.end(undefined),
    },
  });
}
