/**
 * Files that sinks write. A sink cuts off what it has not committed itself: so no file is given to a sink that holds the rows of
 * another, or that the graph reads, nor, without its saying so, one that holds anything when the sink begins.
 */
import { existsSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { type Place, parseTarget } from "@millrace/engine";
import { opsError } from "../errors.ts";
import { deployedModel } from "./deployed-model.ts";
import type { Deployment } from "./graph-stream.ts";

/** A file as a node of a graph names it. */
export interface NodeFile {
  readonly node: string;
  /** Absolute. */
  readonly path: string;
  readonly place: Place;
}

export interface WrittenFile extends NodeFile {
  /** The sink may remove what is in the file when it begins. */
  readonly replace: boolean;
}

/** A graph with the files that its sinks write, and those that its sources and tables are read from. */
export interface FilesOfGraph {
  readonly model: { readonly name: string };
  readonly written: readonly WrittenFile[];
  readonly read: readonly NodeFile[];
}

/** Of graphs that are about to run together. @throws HOST-FILE */
export function refuseSharedFiles(graphs: readonly FilesOfGraph[]): void {
  const writers = new Map<string, string>();
  for (const { model, written, read } of graphs) {
    for (const { node, path, place } of written) {
      const reader = read.find((one) => one.path === path);
      if (reader !== undefined)
        throw opsError("HOST-FILE", `sink ${node} would remove what ${reader.node} reads: ${path}`, { place });
      const other = writers.get(path);
      if (other !== undefined) throw opsError("HOST-FILE", `${other} writes ${path} already`, { place });
      writers.set(path, `sink ${node} of graph ${model.name}`);
    }
  }
}

/** Of graphs that the log knows and that do not run now: what they have written is still theirs. @throws HOST-FILE */
export function refuseFilesOfOthers(
  graphs: readonly FilesOfGraph[],
  known: ReadonlyMap<string, Deployment>,
  out: string,
): void {
  const running = new Set(graphs.map(({ model }) => model.name));
  const written = graphs.flatMap((graph) => graph.written).filter(({ path }) => existsSync(path));
  if (written.length === 0) return;
  for (const [name, deployment] of known) {
    if (running.has(name)) continue;
    const theirs = writtenBy(name, deployment, out);
    const taken = written.find(({ path }) => theirs.has(path));
    if (taken !== undefined)
      throw opsError("HOST-FILE", `graph ${name} of this data directory has written ${taken.path}`, {
        place: taken.place,
      });
  }
}

/** Empty where the definition cannot be read here: whoever runs that graph again is refused then. */
function writtenBy(graph: string, deployment: Deployment, out: string): ReadonlySet<string> {
  const paths = new Set<string>();
  try {
    for (const node of deployedModel(graph, deployment).nodes.values()) {
      const target = node.kind === "sink" ? parseTarget(node.definition.to) : undefined;
      if (target?.scheme === "file") paths.add(resolve(out, target.address));
    }
  } catch {
    return paths;
  }
  return paths;
}

/**
 * Of a revision that takes the place of another: a sink that begins anew would empty a file that one of the revision before
 * has written.
 *
 * @param keepsState whether a node goes on with the state that it had in the revision before
 * @throws HOST-FILE
 */
export function refuseEmptiedFiles(
  before: FilesOfGraph,
  next: FilesOfGraph,
  keepsState: (node: string) => boolean,
): void {
  const writers = new Map(before.written.map(({ path, node }) => [path, node]));
  for (const { node, path, place } of next.written) {
    const writer = writers.get(path);
    if (writer === undefined || (writer === node && keepsState(node)) || !existsSync(path)) continue;
    const why = writer === node ? "its definition changed" : `sink ${writer} of the revision before has written it`;
    throw opsError("HOST-FILE", `sink ${node} would begin ${path} anew, because ${why}`, { place });
  }
}

/**
 * Of sinks that begin with the revision about to be deployed: what is in their files was there before them. The sinks would
 * refuse it themselves (they do where it comes there later), but not before sources are read.
 *
 * @param begins whether a node begins here without the state of a revision before
 * @throws SINK-OCCUPIED
 */
export async function refuseOccupiedFiles({ written }: FilesOfGraph, begins: (node: string) => boolean): Promise<void> {
  const found = written.find(({ node, path, replace }) => !replace && begins(node) && isOccupied(path));
  if (found === undefined) return;
  const { node, path, place } = found;
  const { fileError } = await import("@millrace/streams/file");
  throw fileError("SINK-OCCUPIED", `sink ${node} would begin in ${path}, which is not empty`, { place });
}

/** False where nothing can be found out: the sink says then why it cannot write. */
function isOccupied(path: string): boolean {
  try {
    return (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > 0;
  } catch {
    return false;
  }
}
