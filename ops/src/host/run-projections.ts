/** The projections of a host: its own, and those that graphs of its log declare. */
import type { Env, EventLog, OrderedStore } from "@millrace/engine";
import {
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

/** Starts a runner for the projections of the log and these further ones. @throws HOST-PROJECTION, CLI-USAGE */
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
    ...tables(declared, known),
  ];
  const runner = projectionRunner({ log, store, projections, env, ...pastRoom(process.env.MILLRACE_PAST_MIB) });
  runner.start();
  return runner;
}

const MIB = 1024 * 1024;
const PAST_MIB_MAX = 1_048_576;

/** Room for the rows at a past moment, as the environment says it. @throws CLI-USAGE */
export function pastRoom(mib: string | undefined): { readonly pastBytesMax?: number } {
  if (mib === undefined || mib === "") return {};
  const value = /^\d{1,7}$/.test(mib) ? Number(mib) : 0;
  if (value >= 1 && value <= PAST_MIB_MAX) return { pastBytesMax: value * MIB };
  throw opsError("CLI-USAGE", `MILLRACE_PAST_MIB is \`${mib}\`: expected a whole number from 1 to ${PAST_MIB_MAX}`);
}

/**
 * One projection per name; sinks of several graphs may write to one if they agree on its key. A graph that declares it anew, with
 * another key, is not held to what it said before: the rows are folded again by that.
 */
export function tables(
  declared: readonly DeclaredProjection[],
  known: readonly DeclaredProjection[],
): readonly Projection[] {
  const byName = new Map<string, { key: readonly string[]; first: string; streams: Set<string> }>();
  for (const { name, key, streams } of [...declared, ...known.map((old) => asDeclared(old, declared))]) {
    const by = graphOf(streams);
    const table = byName.get(name) ?? { key, first: by, streams: new Set<string>() };
    if (JSON.stringify(table.key) !== JSON.stringify(key)) {
      const keys = `[${table.key.join(", ")}] by graph ${table.first} and [${key.join(", ")}] by graph ${by}`;
      throw opsError("HOST-PROJECTION", `projection ${name} is declared with two keys, ${keys}`);
    }
    for (const stream of streams) table.streams.add(stream);
    byName.set(name, table);
  }
  return Array.from(byName, ([name, { key, streams }]) => tableProjection({ name, key, streams: [...streams].sort() }));
}

function asDeclared(old: DeclaredProjection, declared: readonly DeclaredProjection[]): DeclaredProjection {
  const graph = graphOf(old.streams);
  const now = declared.find(({ name, streams }) => name === old.name && graphOf(streams) === graph);
  return now === undefined ? old : { ...old, key: now.key };
}

/** Streams of sinks are `<graph>/<node>`, and nodes have no `/` in their names. */
function graphOf([stream = ""]: readonly string[]): string {
  return stream.slice(0, stream.lastIndexOf("/"));
}
