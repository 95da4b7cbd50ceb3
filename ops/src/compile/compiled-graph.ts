import type { GraphModel, GraphProgram, WebhookKeys } from "@millrace/engine";
import type { DeclaredProjection } from "../host/graph-stream.ts";
import type { FilesOfGraph } from "../host/sink-files.ts";

/** A graph that is ready for a host, with all that its results depend on. */
export interface CompiledGraph extends FilesOfGraph {
  readonly model: GraphModel;
  /** The graph file as it was read. */
  readonly text: string;
  /** Of revision 0: which one it is only the host's log can tell. */
  readonly program: GraphProgram;
  /** Identifies the definition together with the contents of tables and calculators. */
  readonly hash: string;
  /** Content hash of the definition (under `""`), and of each table and calculator by its address. */
  readonly parts: Readonly<Record<string, string>>;
  readonly projections: readonly DeclaredProjection[];
  /** What pushes must be signed with, by source. */
  readonly pushKeys: ReadonlyMap<string, WebhookKeys>;
  /**
   * Compiles an earlier text of the same graph file, with the tables and calculators of today, so that its revision can be run
   * to its end. Has the hash of that revision only if nothing but the text has changed.
   */
  readonly recompile: (text: string) => Promise<CompiledGraph>;
}
