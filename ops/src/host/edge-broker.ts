/** The broker that edges lead over, and which graphs may lead edges over it. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import {
  type BrokerAddress,
  type Carriers,
  type EdgeCarriersOptions,
  type Env,
  edgeCarriers,
  type GraphModel,
  type GraphProgram,
  kafkaEdgesFault,
  messageOf,
  natsEdgesFault,
  parseBrokerAddress,
  parseTarget,
  type Transport,
} from "@millrace/engine";
import { opsError } from "../errors.ts";

type Via = "nats" | "kafka";

export interface EdgeBroker {
  readonly via: Via;
  /** What the installation is called in the address; hosts that share a graph have the same. */
  readonly scope: string | undefined;
  /** The program with its edges from one host to another led over this broker. */
  lead(program: GraphProgram, runsHere: RunsHere): GraphProgram;
  /** Carriers of a program's edges; `undefined` when all lie within the host. */
  carriers(program: GraphProgram, options: CarrierOptions): Carriers | undefined;
  close(): Promise<void>;
}

export interface CarrierOptions extends Pick<EdgeCarriersOptions, "runsHere" | "payloads"> {
  /** Of the host's log. */
  readonly logId: string;
}

interface BrokerKind {
  readonly port: number;
  /** What is wrong with the options of an address. */
  fault(address: BrokerAddress): string | undefined;
  open(address: BrokerAddress, env: Env): Promise<Transport>;
}

const KINDS: Readonly<Record<Via, BrokerKind>> = {
  nats: {
    port: 4222,
    fault: natsEdgesFault,
    async open(address, env) {
      const { natsTransport } = await import("@millrace/streams/nats");
      const { policyOf } = await import("@millrace/streams/resilience");
      const { options, ...servers } = address;
      const ca = options.get("ca");
      const trust = ca === undefined ? {} : { ca: authorities(ca) };
      const tls = options.get("tls") === "true" ? trust : undefined;
      return natsTransport({ env, servers: { ...servers, tls, policy: policyOf(address) } });
    },
  },
  kafka: {
    port: 9092,
    fault: kafkaEdgesFault,
    async open(address, env) {
      const { kafkaServersOf, kafkaTransport } = await import("@millrace/streams/kafka");
      const { nativeZstd } = await import("@millrace/native");
      const ca = address.options.get("ca");
      return kafkaTransport({
        env,
        servers: kafkaServersOf(address, ca === undefined ? undefined : authorities(ca)),
        zstd: nativeZstd(),
      });
    },
  },
};
/** @throws HOST-EDGES */
function authorities(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw opsError("HOST-EDGES", `the address of --edges names authorities that cannot be read: ${messageOf(cause)}`, {
      cause,
    });
  }
}

const SCOPE = /^[A-Za-z0-9_-]+$/;
/** Whether a node of a graph runs on this host. */
export type RunsHere = (node: string) => boolean;

/** Enough to tell the logs of an installation apart. */
const SCOPE_DIGITS = 12;

/**
 * Opens the broker of an address such as `nats://user:password@host:4222,host:4222/installation`. Does not wait for it. Without
 * a name of the installation, subjects are named after the log, which no other host has.
 *
 * @throws HOST-EDGES the address is no broker's
 */
export async function openEdgeBroker(address: string, env: Env): Promise<EdgeBroker> {
  const target = parseTarget(address);
  const via = VIAS.find((name) => name === target?.scheme);
  if (target === undefined || via === undefined)
    throw opsError("HOST-EDGES", "edges lead over NATS or Kafka; write --edges nats://host:4222 or kafka://host:9092");
  const kind = KINDS[via];
  const parsed = parseBrokerAddress(target.address, kind.port);
  if ("fault" in parsed) throw opsError("HOST-EDGES", `the address of --edges is wrong: ${parsed.fault}`);
  const [scope, ...rest] = parsed.path;
  if (rest.length > 0 || (scope !== undefined && !SCOPE.test(scope)))
    throw opsError("HOST-EDGES", `the address of --edges names servers and an installation, ${exampleOf(via)}/name`);
  const fault = kind.fault(parsed);
  if (fault !== undefined) throw opsError("HOST-EDGES", `the address of --edges is wrong: ${fault}`);
  const transport = await kind.open(parsed, env);
  return {
    via,
    scope,
    lead(program, runsHere) {
      const edges = program.edges.map((edge) => (runsHere(edge.from) === runsHere(edge.to) ? edge : { ...edge, via }));
      return { ...program, edges };
    },
    carriers(program, { logId, ...host }) {
      if (!program.edges.some((edge) => edge.via === via)) return undefined;
      const own = createHash("sha256").update(logId).digest("hex").slice(0, SCOPE_DIGITS);
      return edgeCarriers(program, via, { ...host, transport, env, scope: scope ?? own });
    },
    close: () => transport.close(),
  };
}

const VIAS: readonly Via[] = ["nats", "kafka"];
const exampleOf = (via: Via): string => `${via}://host:${KINDS[via].port}`;

/** @throws HOST-EDGES an edge leads over a broker that was not named, with its place in the graph file */
export function requireBroker(model: GraphModel, broker: EdgeBroker | undefined): void {
  for (const edge of model.edges) {
    if (edge.via === "local" || edge.via === broker?.via) continue;
    const name = `${edge.from}${edge.port === "out" ? "" : `.${edge.port}`} -> ${edge.to}`;
    const how = broker === undefined ? "start with" : `this host leads edges over ${broker.via}; start it with`;
    throw opsError("HOST-EDGES", `edge \`${name}\` leads over ${edge.via}; ${how} --edges ${exampleOf(edge.via)}`, {
      place: { ...model.source.node(edge.to), edge: name },
    });
  }
}

/**
 * Which nodes run here, of a list of names. What belongs to a node (`in~input`) runs where it does.
 *
 * @throws CLI-USAGE a name is no node's, HOST-EDGES the installation has no name
 */
export function placedNodes(model: GraphModel, names: readonly string[], broker: EdgeBroker | undefined): RunsHere {
  const here = new Set(names);
  const unknown = names.find((name) => !model.nodes.has(name));
  if (unknown !== undefined)
    throw opsError(
      "CLI-USAGE",
      `--nodes: graph ${model.name} has no node \`${unknown}\` to run here; it has ${[...model.nodes.keys()].join(", ")}`,
    );
  if (broker?.scope === undefined)
    throw opsError(
      "HOST-EDGES",
      `hosts that share a graph need --edges with a name in it, ${exampleOf(broker?.via ?? "nats")}/name`,
    );
  return (node) => here.has(node.split("~", 1)[0] ?? "");
}
