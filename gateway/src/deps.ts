import type { Env, EventLog, GraphHost, Json, JsonObject } from "@millrace/engine";
import type { AuditFiles } from "@millrace/projections";
import type { Registry } from "prom-client";
import type { GuardOptions } from "./guard.ts";
import type { DeadLetterReader, DescribeEvent, HealthReport, NodeStateReader, ProjectionReader } from "./ports.ts";

/** Everything the gateway shows and does; wired together by `ops`. */
export interface GatewayDeps {
  readonly host: GraphHost;
  readonly log: EventLog;
  readonly projections: ProjectionReader;
  readonly deadLetters: DeadLetterReader;
  /** Folds the states of nodes; without it their routes answer 404. */
  readonly nodeStates?: NodeStateReader;
  /** Gets the `millrace_*` families; whatever else is registered is served too. */
  readonly metrics: Registry;
  readonly health: () => HealthReport | Promise<HealthReport>;
  readonly env: Env;
  /** Version of Millrace, for /docs and the console. */
  readonly version: string;
  /** Name of this host, shown in the console. */
  readonly hostName?: string;
  /** Decodes payloads for people; default: JSON text as it is, anything else as hex. */
  readonly describeEvent?: DescribeEvent;
  /** Opens sealed personal values in everything that is answered; absent: they are shown as they are kept. */
  readonly reveal?: (value: Json) => Json;
  /** JSON Schema of graph files, served at /schemas/graph.schema.json. */
  readonly graphSchema?: JsonObject;
  /** Folder of the built console; without it `/` answers 404. */
  readonly consoleDir?: string;
  /** Public files of the log's Merkle tree, served below `/audit/`. */
  readonly audit?: AuditFiles;
  /** True for streams that nobody but graphs may append to, although they have no events yet; default none. */
  readonly isReserved?: (stream: string) => boolean;
  readonly guard?: GuardOptions;
  /** Sees every error that is the server's own fault. */
  readonly report?: (thrown: unknown, correlationId: string) => void;
}
