/**
 * Tells the operator's log when a node, or the edges of a graph, begin to wait for something outside that does not answer, and
 * when they go on. That is no failure of this host, so no check of `/readyz` says it; whoever started a graph whose broker is
 * away sees here why nothing happens.
 */
import type { ConnectionStatus, GraphStatus, NodeStatus } from "@millrace/engine";

/** A connection that comes back at once is no news. */
const LOOKS_MIN = 3;

/** @returns what is news at each look */
export function waitNews(graphs: () => readonly GraphStatus[]): () => readonly string[] {
  const looks = new Map<string, number>();
  return () => {
    const waits = new Map(graphs().flatMap(waitsOf));
    const gone = [...looks].filter(([name]) => !waits.has(name));
    for (const [name] of gone) looks.delete(name);
    for (const name of waits.keys()) looks.set(name, (looks.get(name) ?? 0) + 1);
    const begun = [...waits].filter(([name]) => looks.get(name) === LOOKS_MIN);
    return [
      ...begun.map(([name, why]) => `waiting: ${name}: ${why}; it is tried again`),
      ...gone.filter(([, seen]) => seen >= LOOKS_MIN).map(([name]) => `goes on: ${name}`),
    ];
  };
}

/** Names and reasons. */
function waitsOf({ graph, nodes, edges }: GraphStatus): readonly (readonly [string, string])[] {
  // All edges of a graph over a broker share one connection.
  const broker = edges.find(({ connection }) => connection !== undefined)?.connection;
  return [
    ...nodes.filter(waits).map(({ node, state, reason, connection }) => {
      return [`${graph}/${node}`, state === "waiting" ? reason : failureOf(connection)] as const;
    }),
    ...(isAway(broker) ? [[`edges of ${graph}`, failureOf(broker)] as const] : []),
  ];
}

/** A node whose connection fails waits for it, also before it has given the attempt up. */
function waits({ state, connection }: NodeStatus): boolean {
  return state === "waiting" || (state === "running" && isAway(connection));
}

function isAway(connection: ConnectionStatus | undefined): boolean {
  return connection !== undefined && !["up", "idle"].includes(connection.state) && connection.reason !== "";
}

function failureOf(connection: ConnectionStatus | undefined): string {
  return `CONNECTION-FAILED: ${connection?.name}: ${connection?.reason}`;
}
