/** What every gRPC method of the endpoint works with. */
import type { Env, EventLog } from "@millrace/engine";
import type { ScriptThreadOptions } from "@millrace/projections";
import type { DescribeEvent } from "../ports.ts";
import type { Access } from "./access.ts";
import type { GrpcCall } from "./grpc-call.ts";
import type { LogTail } from "./log-tail.ts";
import type { Author } from "./stored-event.ts";
import type { StreamStates } from "./stream-states.ts";
import type { StreamWriter } from "./stream-writer.ts";
import type { ServedStreams } from "./virtual-streams.ts";

/** What projections may take. */
export interface ProjectionLimits extends Omit<ScriptThreadOptions, "env"> {
  /** Projections there may be; default 100. */
  readonly countMax?: number;
}

export interface EndpointContext {
  readonly log: EventLog;
  readonly env: Env;
  readonly describe: DescribeEvent;
  readonly access: Access;
  readonly states: StreamStates;
  readonly streams: ServedStreams;
  /** Writes for clients. */
  readonly writer: StreamWriter;
  /** Writes the endpoint's own streams, which clients may not. */
  readonly stateWriter: StreamWriter;
  readonly tail: LogTail;
  readonly appendBytesMax: number;
  readonly projectionLimits: ProjectionLimits;
  /** Version of Millrace. */
  readonly version: string;
}

/** Answers one call, or throws what becomes its status. */
export type GrpcMethod = (call: GrpcCall, context: EndpointContext) => Promise<void>;

/** @throws EVENTSTORE-DENIED */
export function authorOf(call: GrpcCall, { access, version }: EndpointContext): Author {
  return { principal: access.mayChange(call.headers), codeVersion: version };
}
