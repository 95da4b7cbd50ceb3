/** What only a host does whose log is in its data directory. */
import { opsError } from "../errors.ts";
import type { LoadedGraph } from "./load-graph.ts";
import type { SessionOptions } from "./session.ts";

/** @throws HOST-REMOTE-LOG a host with its log in EventStoreDB is asked for it */
export function refuseUnserved(
  loaded: readonly Pick<LoadedGraph, "model">[],
  { eventStore, witnesses }: Pick<SessionOptions, "eventStore" | "witnesses">,
): void {
  if (eventStore !== undefined)
    refuse("EventStoreDB's own clients are at EventStoreDB, not at a second endpoint for it");
  if (witnesses !== undefined) refuse("witnesses cosign the tree over a log in the data directory");
  for (const { model } of loaded)
    for (const { name, kind, definition } of model?.nodes.values() ?? [])
      if (kind === "source" && definition.personal !== undefined)
        refuse(`source ${name} has personal fields, whose keys are kept beside a log in the data directory`);
}

function refuse(what: string): never {
  throw opsError("HOST-REMOTE-LOG", what);
}
