/** What only a host does whose log is in its data directory. */
import { opsError } from "../errors.ts";
import type { LoadedGraph } from "./load-graph.ts";

/** Absent: not asked for. */
export interface AskedOfHost {
  readonly eventStore?: object | undefined;
  readonly witnesses?: object | undefined;
  readonly nodes?: readonly string[] | undefined;
}

/** @throws HOST-REMOTE-LOG a host with its log in EventStoreDB is asked for it */
export function refuseUnserved(
  loaded: readonly Pick<LoadedGraph, "model">[],
  { eventStore, witnesses, nodes }: AskedOfHost,
): void {
  if (eventStore !== undefined)
    refuse("EventStoreDB's own clients are at EventStoreDB, not at a second endpoint for it");
  if (witnesses !== undefined) refuse("witnesses cosign the tree over a log in the data directory");
  if (nodes !== undefined) refuse("hosts that share a graph (--nodes) keep a log each, in their data directories");
  for (const { model } of loaded)
    for (const { name, kind, definition } of model?.nodes.values() ?? [])
      if (kind === "source" && definition.personal !== undefined)
        refuse(`source ${name} has personal fields, whose keys are kept beside a log in the data directory`);
}

function refuse(what: string): never {
  throw opsError("HOST-REMOTE-LOG", what);
}
