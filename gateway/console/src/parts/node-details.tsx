import type { ReactElement } from "react";
import { type GraphStatus, getJson, graphPath } from "../api.ts";
import { JsonView } from "./json-view.tsx";
import { useRequest } from "./use-request.ts";

const EVERY_MS = 2000;

/** What a node says of itself: of a calculator where it runs, its health and its `details()`. */
export function NodeDetails({ graph, node }: { readonly graph: string; readonly node: string }): ReactElement | null {
  const ask = (signal: AbortSignal): Promise<GraphStatus> => getJson<GraphStatus>(graphPath(graph), signal);
  const { value } = useRequest(`${graph} ${node}`, ask, EVERY_MS);
  const details = value?.nodes.find((one) => one.node === node)?.details ?? null;
  if (details === null) return null;
  return (
    <section aria-label="What the node says of itself">
      <JsonView value={details} lines />
    </section>
  );
}
