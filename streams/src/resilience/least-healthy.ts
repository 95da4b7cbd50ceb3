/** The state of what needs several connections. */
import type { ConnectionState, ConnectionStatus } from "@millrace/engine";

const ILLNESS: readonly ConnectionState[] = ["idle", "up", "connecting", "backing-off", "suspended"];

/** One that is not needed counts for less than one that is. */
export function leastHealthy(connections: readonly [ConnectionStatus, ...ConnectionStatus[]]): ConnectionStatus {
  const illness = ({ state }: ConnectionStatus): number => ILLNESS.indexOf(state);
  return connections.reduce((worst, other) => (illness(other) > illness(worst) ? other : worst));
}
