/** What the compilers of single nodes share: where things are, and what they found out on the way. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { Env, GraphModel, PayloadIntake, PersonalIntake, Place, WebhookKeys } from "@millrace/engine";
import type { ResiliencePolicy } from "@millrace/streams/resilience";
import { opsError } from "../errors.ts";
import type { DeclaredProjection } from "../host/graph-stream.ts";
import { HostMemory } from "../host/host-memory.ts";
import type { HostPayloads } from "../host/host-payloads.ts";
import type { HostPersonal } from "../host/host-personal.ts";
import type { ProjectionTables } from "../host/projection-tables.ts";
import type { NodeFile, WrittenFile } from "../host/sink-files.ts";

export interface CompileOptions {
  /** Folder of the graph file: addresses of sources, tables and modules start here. */
  readonly dir: string;
  /** Folder where the addresses of sinks start. */
  readonly out: string;
  readonly env: Env;
  /** Projections that nodes look rows up in. */
  readonly tables: ProjectionTables;
  /** Absent: bytes travel inline, outside of a host. */
  readonly payloads?: HostPayloads | undefined;
  /** Keys of personal values; absent: graphs with personal values cannot be compiled. */
  readonly personal?: HostPersonal | undefined;
  /** What the graphs of the host share in memory. Default: the graph has its own. */
  readonly memory?: HostMemory | undefined;
  /** Replays every source with an event time at this multiple of event time, whatever the file says. */
  readonly speed?: number;
  /** Overrides what addresses say of connections to brokers. */
  readonly resilience?: Partial<ResiliencePolicy>;
  /** Files that sinks may replace, whatever the text says: a later text says so, and the revision is only run to its end. */
  readonly replaced?: ReadonlySet<string>;
  /** What `${env:NAME}` secrets are read from. Default: the process's environment. */
  readonly secrets?: Readonly<Record<string, string | undefined>>;
}

export class CompileContext {
  readonly model: GraphModel;
  readonly options: CompileOptions;
  readonly parts = new Map<string, string>();
  readonly projections: DeclaredProjection[] = [];
  /** Files that sinks write. */
  readonly written: WrittenFile[] = [];
  /** Files that sources and tables are read from. */
  readonly read: NodeFile[] = [];
  /** What pushes must be signed with, by source. */
  readonly pushKeys = new Map<string, WebhookKeys>();
  /** What `mem:` and `memredis:` name. */
  readonly memory: HostMemory;

  constructor(model: GraphModel, options: CompileOptions) {
    this.model = model;
    this.options = options;
    this.memory = options.memory ?? new HostMemory();
  }

  place(node: string, ...keys: readonly string[]): Place {
    return this.model.source.node(node, ...keys);
  }

  /** Where the payloads of a node enter; absent outside of a host. */
  intake(node: string): PayloadIntake | undefined {
    return this.options.payloads?.intakeOf(this.model, node);
  }

  /** Where a node's personal values are sealed; absent: it has none. @throws HOST-CONNECTOR there are no keys here */
  personal(node: string): PersonalIntake | undefined {
    const model = this.model.nodes.get(node);
    if (model?.kind !== "source" || model.definition.personal === undefined) return undefined;
    return this.keys(this.place(node, "personal")).intakeOf(this.model, node);
  }

  /** @throws HOST-CONNECTOR there are no keys here */
  keys(place: Place): HostPersonal {
    if (this.options.personal !== undefined) return this.options.personal;
    throw opsError("HOST-CONNECTOR", "personal values need a host with a data directory", { place });
  }

  /** Absolute path of an address of the graph file. */
  path(address: string): string {
    return resolve(this.options.dir, address);
  }

  /** Makes a file part of the revision: other contents are another revision. */
  async pin(address: string): Promise<void> {
    this.parts.set(address, sha256(await readFile(this.path(address))));
  }
}

export function sha256(content: Uint8Array | string): string {
  return createHash("sha256").update(content).digest("hex");
}
