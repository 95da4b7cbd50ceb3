import { hex, type SimulatedLog } from "../simulated-log.ts";
import { holds } from "./violation.ts";

/** Every acknowledged event is there, positions and revisions have no gap, no id comes twice. */
export function checkLog(log: SimulatedLog): void {
  const heads = new Map<string, number>();
  const ids = new Set<string>();
  log.events.forEach((event, position) => {
    holds(event.position === position, "LOG", () => `position ${event.position} stands at ${position}`);
    const revision = (heads.get(event.stream) ?? -1) + 1;
    heads.set(event.stream, revision);
    holds(event.revision === revision, "LOG", () => `${event.stream} has ${event.revision} where ${revision} belongs`);
    const id = hex(event.id);
    holds(!ids.has(id), "LOG", () => `event ${id} of ${event.stream} is there twice`);
    ids.add(id);
  });
  for (const { stream, revision, position, id } of log.acknowledged) {
    const event = log.events[position];
    const isThere =
      event !== undefined && event.stream === stream && event.revision === revision && hex(event.id) === id;
    holds(isThere, "ACKED", () => `event ${revision} of ${stream} was acknowledged and is not in the log`);
  }
}
