/**
 * Tells the operator's log when a node, or the edges of a graph, begin to wait for something outside that does not answer, and
 * when they go on. That is no failure of this host, so no check of `/readyz` says it; whoever started a graph whose broker is
 * away sees here why nothing happens.
 */
import type { ConnectionStatus, Env, GraphStatus, NodeStatus, Timer } from "@millrace/engine";

const EVERY_MS = 1000;
/** A connection that comes back at once is no news. */
const LOOKS_MIN = 3;
/** To look at graphs of many nodes takes long: at most this share of a processor. */
const SHARE_MAX = 0.002;

/** @returns what ends it */
export function logWaits(graphs: () => readonly GraphStatus[], env: Env, write: (line: string) => void): () => void {
  const looks = new Map<string, number>();
  let timer: Timer;
  const tell = (text: string): void => write(`${new Date(env.clock.now()).toISOString()} ${text}`);
  const look = (): void => {
    const beganMs = env.clock.monotonic();
    const waits = new Map(graphs().flatMap(waitsOf));
    const tookMs = env.clock.monotonic() - beganMs;
    for (const [name, why] of waits) {
      const seen = (looks.get(name) ?? 0) + 1;
      looks.set(name, seen);
      if (seen === LOOKS_MIN) tell(`waiting: ${name}: ${why}; it is tried again`);
    }
    for (const [name, seen] of looks) {
      if (waits.has(name)) continue;
      looks.delete(name);
      if (seen >= LOOKS_MIN) tell(`goes on: ${name}`);
    }
    timer = env.timers.after(Math.max(EVERY_MS, tookMs / SHARE_MAX), look);
  };
  timer = env.timers.after(EVERY_MS, look);
  return () => timer.cancel();
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
