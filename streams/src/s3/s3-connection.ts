/**
 * A resilient connection to a service: a client of it, which is given up when the service does not answer. Requests are independent of
 * each other, so there is nothing else to keep.
 */
import type { Env, S3Address } from "@millrace/engine";
import { Connection, type ConnectionDriver } from "../resilience/connection.ts";
import { policyOf } from "../resilience/endpoint.ts";
import { DEFAULT_RESILIENCE, type ResiliencePolicy } from "../resilience/policy.ts";
import { s3Error } from "./errors.ts";
import { S3Fault } from "./s3-answer.ts";
import { S3Client, type S3Place } from "./s3-client.ts";

export interface S3Options {
  /** Overrides what the address says of connections. */
  readonly policy?: Partial<ResiliencePolicy> | undefined;
  /** Certificates to trust instead of the system's, as PEM. */
  readonly ca?: string | undefined;
}

export function s3Connection(address: S3Address, env: Env, { policy, ca }: S3Options): Connection<S3Client> {
  const { bucket, prefix, region, style, credentials, endpoints } = address;
  const trusted = ca === undefined ? {} : { ca };
  const whole = { ...DEFAULT_RESILIENCE, ...policyOf(address), ...policy };
  // As long as a connection that is silent altogether needs to be found out.
  const readSilenceMs = whole.probeEveryMs + whole.probeTimeoutMs;
  const named = { bucket, region, style, readSilenceMs, ...trusted };
  const place: S3Place = { ...named, ...(credentials === undefined ? {} : { credentials }) };
  return new Connection({
    name: `s3://${bucket}/${prefix}`,
    endpoints,
    driver: s3Driver(place, env),
    env,
    policy: whole,
  });
}

function s3Driver(place: S3Place, env: Env): ConnectionDriver<S3Client> {
  return {
    async connect(endpoint, signal) {
      const client = new S3Client(place, endpoint, env);
      try {
        await client.ask(signal);
        return client;
      } catch (cause) {
        await client.close();
        throw cause;
      }
    },
    probe: (client) => client.ask(),
    // There is no connection that could end: a request finds out, or a probe.
    ended: () => new Promise(() => undefined),
    disconnect: (client) => client.close(),
  };
}

/** What a service's refusal is, where it is not just to be tried again. */
export function namedFault(cause: unknown, bucket: string, key = ""): unknown {
  if (!(cause instanceof S3Fault) || (cause.status !== 403 && cause.status !== 401)) return cause;
  const details = { bucket, key, status: cause.status, reason: cause.code };
  return s3Error("S3-DENIED", `bucket ${bucket} may not be used so: ${cause.message}`, { cause, details });
}
