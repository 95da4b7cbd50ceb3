/** The JMS clients that connectors are tested with, all of which speak with one broker, and how a test uses them. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  type JmsAddress,
  type JmsDefinition,
  type Place,
  parseGraph,
  parseJmsAddress,
  systemEnv,
} from "@millrace/engine";
import type { JmsOptions } from "@millrace/streams/jms";
import { ACTIVEMQ_VERSION, activemqJars } from "../../bin/activemq.mjs";
import { JAVAX_CLIENT_VERSION, javaxClientJars } from "../../bin/jms-client.mjs";
import { CompileContext } from "../../src/compile/compile-context.ts";
import { jmsOptionsOf } from "../../src/compile/jms-bridge.ts";
import { ProjectionTables } from "../../src/host/projection-tables.ts";
import { QUICK } from "./running-graph.ts";

/** The reason why there is none; `undefined` where there is one. */
export const jmsMissing: string | undefined = process.env.MILLRACE_SKIP_JMS || undefined;

export interface JmsClientKind {
  readonly name: string;
  readonly definition: JmsDefinition;
}

export const ACTIVEMQ_FACTORY = "org.apache.activemq.ActiveMQConnectionFactory";

const activemq = (jars: string): JmsDefinition => ({
  classPath: [join(jars, "*")],
  factory: ACTIVEMQ_FACTORY,
  set: { brokerURL: "tcp://{endpoint}" },
});

export const JAKARTA: JmsClientKind = {
  name: `jakarta.jms of ActiveMQ ${ACTIVEMQ_VERSION}`,
  definition: activemq(activemqJars),
};
export const JAVAX: JmsClientKind = {
  name: `javax.jms of ActiveMQ ${JAVAX_CLIENT_VERSION}`,
  definition: activemq(javaxClientJars),
};

/** Quick to notice; but a JVM takes its time. */
export const JMS_POLICY = { ...QUICK, probeTimeoutMs: 5000 };
const GRAPH = `name: g
nodes: { in: { kind: source, from: "metronome:1h" }, out: { kind: sink, input: in, to: "discard:" } }
`;

export function jmsAddress(address: string, side: "source" | "sink"): JmsAddress {
  const parsed = parseJmsAddress(`//${address}`, side);
  if ("fault" in parsed) throw new Error(parsed.fault);
  return parsed;
}

/** What the compiler makes of a node's definition, at whose keys errors then are. */
export async function jmsOptions(
  id: string,
  address: JmsAddress,
  definition: JmsDefinition,
  secrets: Readonly<Record<string, string>> = {},
): Promise<JmsOptions> {
  const parsed = parseGraph(GRAPH);
  if ("problems" in parsed) throw new Error(JSON.stringify(parsed.problems));
  const options = {
    dir: ".",
    out: ".",
    env: systemEnv(),
    tables: new ProjectionTables(),
    resilience: JMS_POLICY,
    secrets,
  };
  const place = (...keys: readonly string[]): Place => ({ path: `/${keys.join("/")}` });
  return jmsOptionsOf(id, address, definition, new CompileContext(parsed.graph, options), place);
}

/** The definition as a graph file writes it. */
export const jmsYaml = (definition: JmsDefinition): string => JSON.stringify(definition);

/** The processes of clients that this process has started. */
export function ownBridges(): readonly number[] {
  return readdirSync("/proc")
    .filter((pid) => /^\d+$/.test(pid) && isOwnBridge(pid))
    .map(Number);
}

function isOwnBridge(pid: string): boolean {
  try {
    const isOwn = new RegExp(`^PPid:\\s*${process.pid}$`, "m").test(readFileSync(`/proc/${pid}/status`, "utf8"));
    return isOwn && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("dev.millrace.jms.Bridge");
  } catch {
    // It is gone.
    return false;
  }
}
