/** The broker that edges lead over, and which graphs may lead edges over it. */
import { createHash } from "node:crypto";
import {
  type Carriers,
  type Env,
  edgeCarriers,
  type GraphModel,
  type GraphProgram,
  parseBrokerAddress,
  parseTarget,
} from "@millrace/engine";
import { opsError } from "../errors.ts";

export interface EdgeBroker {
  readonly via: "nats";
  /** Carriers of a program's edges; `undefined` when all lie within the host. */
  carriers(program: GraphProgram, logId: string): Carriers | undefined;
  close(): Promise<void>;
}

const NATS_PORT = 4222;
/** Enough to tell the logs of an installation apart. */
const SCOPE_DIGITS = 12;

/**
 * Opens the broker of an address such as `nats://user:password@host:4222,host:4222`. Does not wait for it.
 *
 * @throws HOST-EDGES the address is no broker's
 */
export async function openEdgeBroker(address: string, env: Env): Promise<EdgeBroker> {
  const target = parseTarget(address);
  if (target?.scheme !== "nats") throw opsError("HOST-EDGES", "edges lead over NATS; write --edges nats://host:4222");
  const parsed = parseBrokerAddress(target.address, NATS_PORT);
  if ("fault" in parsed) throw opsError("HOST-EDGES", `the address of --edges is wrong: ${parsed.fault}`);
  if (parsed.path.length > 0 || parsed.options.size > 0)
    throw opsError("HOST-EDGES", "the address of --edges names servers only");
  const { natsTransport } = await import("@millrace/streams/nats");
  const transport = natsTransport({ env, servers: parsed });
  return {
    via: "nats",
    carriers(program, logId) {
      if (!program.edges.some((edge) => edge.via === "nats")) return undefined;
      const scope = createHash("sha256").update(logId).digest("hex").slice(0, SCOPE_DIGITS);
      return edgeCarriers(program, "nats", { transport, env, scope });
    },
    close: () => transport.close(),
  };
}

/** @throws HOST-EDGES an edge leads over a broker that was not named, with its place in the graph file */
export function requireBroker(model: GraphModel, broker: EdgeBroker | undefined): void {
  for (const edge of model.edges) {
    if (edge.via === "local" || edge.via === broker?.via) continue;
    const name = `${edge.from}${edge.port === "out" ? "" : `.${edge.port}`} -> ${edge.to}`;
    const how = edge.via === "nats" ? "; start with --edges nats://host:4222" : ", which this host cannot";
    throw opsError("HOST-EDGES", `edge \`${name}\` leads over ${edge.via}${how}`, {
      place: { ...model.source.node(edge.to), edge: name },
    });
  }
}
