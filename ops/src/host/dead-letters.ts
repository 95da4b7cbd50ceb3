/** Dead letters for the API and the command line, from their projection. */
import type { DeadLetterFilter, DeadLetterPage, DeadLetterReader } from "@millrace/gateway";
import { DEAD_LETTERS, deadLetterOf, type ProjectionRunner } from "@millrace/projections";
import { deadLetterIn } from "./open-data.ts";

export function deadLetterReader(runner: ProjectionRunner): DeadLetterReader {
  return {
    get: (id) => Promise.resolve(deadLetterIn(runner, id)),
    list: (filter) => list(runner, filter),
  };
}

async function list(runner: ProjectionRunner, { limit, cursor, ...fields }: DeadLetterFilter): Promise<DeadLetterPage> {
  const where = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
  const query = { where, limit, order: "desc" as const, ...(cursor === undefined ? {} : { cursor }) };
  const { asOf, rows, next } = await runner.query(DEAD_LETTERS, query);
  return { asOf, rows: rows.map(deadLetterOf), next };
}
