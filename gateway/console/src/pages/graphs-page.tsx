import type { ReactElement } from "react";
import { count, rate } from "../format.ts";
import { live } from "../live/live-store.ts";
import { LiveText, useLive } from "../live/use-live.tsx";
import { Link } from "../parts/link.tsx";
import { Empty } from "../parts/notice.tsx";
import { Sparkline } from "../parts/sparkline.tsx";
import { graphPage } from "../router.ts";

export function GraphsPage(): ReactElement {
  const graphs = useLive(() =>
    live.status?.graphs.map(({ graph, revision, state, durability, nodeCount, edgeCount }) => ({
      graph,
      revision,
      state,
      durability,
      nodeCount,
      edgeCount,
    })),
  );
  return (
    <main id="main" className="page">
      {graphs?.length === 0 && <NoGraphs />}
      <ul className="cards">
        {graphs?.map(({ graph, revision, state, durability, nodeCount, edgeCount }) => (
          <li key={graph}>
            <Link to={graphPage(graph)} className="card">
              <span className="card-head">
                <b>{graph}</b>
                <span className="num faint">rev {revision}</span>
                <span className={`pill state-${state}`}>
                  <i className="dot" />
                  {state} · {durability}
                </span>
              </span>
              <Sparkline graph={graph} />
              <span className="card-numbers num">
                <span>
                  <LiveText className="strong" read={() => rate(live.graph(graph)?.inRate ?? 0)} /> in
                </span>
                <span>
                  <LiveText className="strong" read={() => rate(live.graph(graph)?.outRate ?? 0)} /> out
                </span>
                <span>
                  <LiveText className="strong" read={() => count(live.graph(graph)?.deadLettered ?? 0)} /> dead
                </span>
                <span className="faint">
                  {nodeCount} nodes, {edgeCount} edges
                </span>
              </span>
            </Link>
          </li>
        ))}
      </ul>
    </main>
  );
}

function NoGraphs(): ReactElement {
  return (
    <Empty title="No graph is running">
      <p>Run one; it appears here by itself:</p>
      <pre className="source">millrace run ops/examples/flights/graph.yaml</pre>
      <p>
        Graph files are described by <a href="/schemas/graph.schema.json">their schema</a>, the API by{" "}
        <a href="/docs">its documentation</a>.
      </p>
    </Empty>
  );
}
