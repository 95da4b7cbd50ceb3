/** The stream of a node: where its steps, or a source's horizons, are. */
export function streamOf(graph: string, node: string): string {
  return `${graph}/${node}`;
}
