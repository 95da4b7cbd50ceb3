/** The projections of a host: its own, and those that graphs of its log declare. */
import type { Env, EventLog, OrderedStore } from "@millrace/engine";
import {
  DEAD_LETTERS,
  deadLetterCountProjection,
  deadLetterProjection,
  graphProjection,
  type Projection,
  type ProjectionRunner,
  projectionRunner,
  tableProjection,
} from "@millrace/projections";
import { opsError } from "../errors.ts";
import { type DeclaredProjection, deployments } from "./graph-stream.ts";

/** Starts a runner for the projections of the log and these further ones. @throws HOST-PROJECTION */
export async function runProjections(
  log: EventLog,
  store: OrderedStore,
  declared: readonly DeclaredProjection[],
  env: Env,
): Promise<ProjectionRunner> {
  const known = [...(await deployments(log, env)).values()].flatMap(({ projections }) => projections);
  const projections = [
    graphProjection(),
    deadLetterProjection(),
    deadLetterCountProjection(),
    ...tables([...declared, ...known]),
  ];
  const runner = projectionRunner({ log, store, projections, env });
  runner.start();
  return runner;
}

const NAME = /^[a-z0-9][a-z0-9._-]{0,99}$/;
const RESERVED: ReadonlySet<string> = new Set(["graphs", DEAD_LETTERS, "dead-letter-counts"]);

/** One projection per name; sinks of several graphs may write to one if they agree on its key. */
function tables(declared: readonly DeclaredProjection[]): readonly Projection[] {
  const byName = new Map<string, { key: readonly string[]; streams: Set<string> }>();
  for (const { name, key, streams } of declared) {
    if (!NAME.test(name))
      throw opsError("HOST-PROJECTION", `projection ${name}: names are lower-case letters, digits and . _ -`);
    if (RESERVED.has(name))
      throw opsError("HOST-PROJECTION", `projection ${name}: the host itself has one of this name`);
    const table = byName.get(name) ?? { key, streams: new Set<string>() };
    if (JSON.stringify(table.key) !== JSON.stringify(key))
      throw opsError("HOST-PROJECTION", `projection ${name} is declared with the keys [${table.key}] and [${key}]`);
    for (const stream of streams) table.streams.add(stream);
    byName.set(name, table);
  }
  return Array.from(byName, ([name, { key, streams }]) => tableProjection({ name, key, streams: [...streams].sort() }));
}
