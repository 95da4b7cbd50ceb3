/** The context of events that a bench appends: those of no graph. */
export function benchContext(causationId, correlationId) {
  const names = { principal: "bench", tenant: "", codeVersion: "1", graph: "", node: "" };
  return { causationId, correlationId, ...names, graphRevision: 0, epoch: 0 };
}
