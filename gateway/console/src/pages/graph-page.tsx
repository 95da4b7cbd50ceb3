import { type ReactElement, useEffect, useMemo, useState } from "react";
import { type GraphStatus, getJson, getText, graphPath, postJson, type RequestFailure } from "../api.ts";
import { GraphCanvas } from "../canvas/graph-canvas.tsx";
import { count, duration, short } from "../format.ts";
import { live } from "../live/live-store.ts";
import { LiveText, useLive } from "../live/use-live.tsx";
import { Bottlenecks } from "../parts/bottlenecks.tsx";
import { GraphTable } from "../parts/graph-table.tsx";
import { HistoryStrip } from "../parts/history-strip.tsx";
import { Icon } from "../parts/icons.tsx";
import { Inspector } from "../parts/inspector.tsx";
import { Empty, Failure } from "../parts/notice.tsx";
import { ReasonDialog } from "../parts/reason-dialog.tsx";
import { useRequest } from "../parts/use-request.ts";
import { setQuery } from "../router.ts";
import type { Selection } from "../selection.ts";

const select = ({ node, edge }: Selection): void => setQuery({ node, edge, tab: undefined });

export function GraphPage({ graph, query }: { readonly graph: string; readonly query: URLSearchParams }): ReactElement {
  const shape = useLive(() => {
    const found = live.graph(graph);
    return found && [found.revision, found.nodeCount, found.edgeCount].join("/");
  });
  const topology = useTopology(graph, shape);
  const [node, edge] = [query.get("node") ?? undefined, query.get("edge") ?? undefined];
  const selection = useMemo<Selection>(
    () => ({ ...(node === undefined ? {} : { node }), ...(edge === undefined ? {} : { edge }) }),
    [node, edge],
  );
  const edges = topology.value?.status.edges;
  // An address may name an edge that a later revision took away: no live stream is to be had with it.
  const isGone = edge !== undefined && edges !== undefined && !edges.some((one) => one.edge === edge);
  useEffect(() => {
    if (isGone) setQuery({ edge: undefined, tab: undefined });
  }, [isGone]);
  if (topology.failure) {
    return (
      <main id="main" className="page">
        <Failure failure={topology.failure} />
      </main>
    );
  }
  const isTable = query.get("view") === "table";
  return (
    <div className="graph-page">
      <main id="main" className="stage">
        <Toolbar graph={graph} isTable={isTable} />
        {topology.value &&
          (isTable ? (
            <GraphTable status={topology.value.status} selection={selection} onSelect={select} />
          ) : (
            <Canvas {...topology.value} selection={selection} />
          ))}
      </main>
      <HistoryStrip graph={graph} />
      {topology.value && <Inspector {...topology.value} selection={selection} tab={query.get("tab")} />}
    </div>
  );
}

interface Topology {
  readonly status: GraphStatus;
  readonly source: string;
}

function useTopology(
  graph: string,
  shape: string | undefined,
): { value: Topology | undefined; failure: RequestFailure | undefined } {
  const [kept, setKept] = useState<Topology>();
  const { failure } = useRequest(`${graph} ${shape ?? ""}`, async (signal) => {
    const status = await getJson<GraphStatus>(graphPath(graph), signal);
    // A graph that was built in code has no file; its nodes are then shown without a second line.
    const source = await getText(`${graphPath(graph)}/source`).catch(() => "");
    setKept({ status, source });
    return status;
  });
  return { value: kept, failure: kept ? undefined : failure };
}

function Canvas({ status, source, selection }: Topology & { readonly selection: Selection }): ReactElement {
  if (status.nodes.length === 0) {
    return (
      <Empty title="This graph has no nodes">
        <p>Add some to its file; the next revision appears here by itself.</p>
      </Empty>
    );
  }
  return (
    <>
      <GraphCanvas status={status} source={source} selection={selection} onSelect={select} />
      <Legend />
      <Bottlenecks graph={status.graph} onSelect={(node) => select({ node })} />
    </>
  );
}

function Legend(): ReactElement {
  return (
    <div className="legend">
      <span>
        <i className="swatch swatch-flow" /> flowing
      </span>
      <span>
        <i className="swatch swatch-warn" />▲ filling 61–85 %
      </span>
      <span>
        <i className="swatch swatch-bad" />■ full, sender held
      </span>
      <span className="legend-wide">width = messages/s</span>
    </div>
  );
}

type Verb = "suspend" | "resume" | "stop" | "start";

const EFFECTS: Readonly<Record<Verb, { readonly name: string; readonly effect: string }>> = {
  suspend: { name: "Suspend", effect: "Sources read nothing more until it is resumed. Nothing is lost." },
  resume: { name: "Resume", effect: "Sources read on where they left off; parked nodes start again." },
  stop: { name: "Stop", effect: "Steps in flight are finished, then every node stops." },
  start: { name: "Start", effect: "Every node recovers its state from the log and goes on." },
};

function verbsOf(state: string | undefined): readonly Verb[] {
  switch (state) {
    case "running":
    case "starting":
      return ["suspend", "stop"];
    case "suspended":
      return ["resume", "stop"];
    case "failed":
      return ["resume", "stop"];
    case "stopped":
    case "finished":
      return ["start"];
    default:
      return [];
  }
}

function Toolbar({ graph, isTable }: { readonly graph: string; readonly isTable: boolean }): ReactElement {
  const state = useLive(() => live.graph(graph)?.state);
  const [verb, setVerb] = useState<Verb>();
  return (
    <div className="toolbar">
      {verbsOf(state).map((one) => (
        <button key={one} type="button" className="button" onClick={() => setVerb(one)}>
          {EFFECTS[one].name}
        </button>
      ))}
      <button
        type="button"
        className="button button-icon"
        aria-pressed={isTable}
        title={isTable ? "Show as graph" : "Show as table"}
        onClick={() => setQuery({ view: isTable ? undefined : "table" })}
      >
        <Icon name={isTable ? "canvas" : "table"} />
        {isTable ? "Graph" : "Table"}
      </button>
      <Sentence graph={graph} />
      {verb && (
        <ReasonDialog
          title={`${EFFECTS[verb].name} ${graph}`}
          effect={EFFECTS[verb].effect}
          verb={EFFECTS[verb].name}
          run={async (reason) => void (await postJson(`${graphPath(graph)}/${verb}`, { reason }))}
          onClose={() => setVerb(undefined)}
        />
      )}
    </div>
  );
}

/** The graph in one line of numbers. */
function Sentence({ graph }: { readonly graph: string }): ReactElement {
  const number = (read: (found: NonNullable<ReturnType<typeof live.graph>>) => string) => () => {
    const found = live.graph(graph);
    return found ? read(found) : "–";
  };
  return (
    <p className="sentence">
      <span>
        <LiveText className="num strong" read={number(({ inRate }) => short(inRate))} /> msg/s in
      </span>
      <span>
        <LiveText className="num strong" read={number(({ outRate }) => short(outRate))} /> msg/s out
      </span>
      <span>
        p99{" "}
        <LiveText
          className="num strong"
          read={number(({ commitP99Ms }) => (commitP99Ms === null ? "–" : duration(commitP99Ms)))}
        />{" "}
        to durable
      </span>
      <span>
        <LiveText className="num strong" read={number(({ dropped }) => count(dropped))} /> dropped
      </span>
      <span>
        <LiveText className="num strong" read={number(({ deadLettered }) => count(deadLettered))} /> dead
      </span>
    </p>
  );
}
