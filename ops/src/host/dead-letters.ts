/** Dead letters for the API and the command line, from their projection. */
import type { DeadLetter, EventLog } from "@millrace/engine";
import type { DeadLetterFilter, DeadLetterPage, DeadLetterReader } from "@millrace/gateway";
import { DEAD_LETTERS, deadLetterOf, type ProjectionRunner } from "@millrace/projections";

export function deadLetterReader(runner: ProjectionRunner): DeadLetterReader {
  return {
    get: (id) => Promise.resolve(letterIn(runner, id)),
    list: (filter) => list(runner, filter),
  };
}

async function list(runner: ProjectionRunner, { limit, cursor, ...fields }: DeadLetterFilter): Promise<DeadLetterPage> {
  const where = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
  const query = { where, limit, order: "desc" as const, ...(cursor === undefined ? {} : { cursor }) };
  const { asOf, rows, next } = await runner.query(DEAD_LETTERS, query);
  return { asOf, rows: rows.map(deadLetterOf), next };
}

/**
 * Dead letters by their ids, with everything folded that the log has now: what was redriven a moment ago is not waiting.
 *
 * @throws PROJECTION-BEHIND (transient) the projection did not catch up in time
 */
export async function deadLettersAtEnd(
  runner: ProjectionRunner,
  log: EventLog,
  ids: readonly string[],
): Promise<readonly (DeadLetter | undefined)[]> {
  if (log.durableEnd > 0) await runner.query(DEAD_LETTERS, { limit: 1, minPosition: log.durableEnd - 1 });
  return ids.map((id) => letterIn(runner, id));
}

function letterIn(runner: ProjectionRunner, id: string): DeadLetter | undefined {
  const row = runner.find(DEAD_LETTERS, id);
  return row === undefined ? undefined : deadLetterOf(row);
}
