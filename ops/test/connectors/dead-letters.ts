/** The dead letters that a log has. */
import { type DeadLettered, type EventLog, STEP, stepOf } from "@millrace/engine";

export async function deadLettersOf(log: EventLog): Promise<readonly DeadLettered[]> {
  const letters: DeadLettered[] = [];
  for await (const events of log.read({}))
    for (const event of events) if (event.type === STEP) letters.push(...stepOf(event).dead);
  return letters;
}
