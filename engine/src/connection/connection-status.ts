/** What can be seen of a connection to something outside: a broker, a database. Plain data, cheap to take. */

/**
 * `idle`: not needed now · `connecting`: an attempt is under way · `up` · `backing-off`: waits before the next attempt ·
 * `suspended`: the circuit is open, nothing is attempted for a while.
 */
export type ConnectionState = "idle" | "connecting" | "up" | "backing-off" | "suspended";

export interface ConnectionStatus {
  /** What the connection is for: the address without credentials. */
  readonly name: string;
  readonly state: ConnectionState;
  /** The endpoint that is, or was last, connected or tried; `null` before the first attempt. */
  readonly endpoint: string | null;
  /** Why it is not up, in one sentence; empty while it is, and before it was needed. */
  readonly reason: string;
  /** Wall clock of the last change of state, ms since 1970. */
  readonly sinceMs: number;
  /** How often a connection was made. */
  readonly connects: number;
  /** Rounds through all endpoints that failed since it was last up. */
  readonly failures: number;
}
