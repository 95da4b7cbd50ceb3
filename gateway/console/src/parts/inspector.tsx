import type { ReactElement, ReactNode } from "react";
import type { EdgeStatus, GraphStatus, NodeStatus } from "../api.ts";
import { arrow, clock, count, duration, minute, percent, rate, stamp } from "../format.ts";
import { live } from "../live/live-store.ts";
import type { LiveEdge, LiveGraph, LiveNode } from "../live/live-types.ts";
import { LiveText } from "../live/use-live.tsx";
import { nodeSource } from "../node-source.ts";
import { setQuery } from "../router.ts";
import type { Selection } from "../selection.ts";
import { EventList } from "./event-list.tsx";
import { Icon } from "./icons.tsx";
import { NodeDetails } from "./node-details.tsx";
import { Peek } from "./peek.tsx";

interface InspectorProps {
  readonly status: GraphStatus;
  readonly source: string;
  readonly selection: Selection;
  readonly tab: string | null;
}

/** What is known of the selected node or edge, or of the graph when nothing is selected. */
export function Inspector({ status, source, selection, tab }: InspectorProps): ReactElement {
  const node = status.nodes.find((one) => one.node === selection.node);
  const edge = status.edges.find((one) => one.edge === selection.edge);
  const tabs = node ? nodeTabs(status, node, source) : edge ? edgeTabs(status.graph, edge) : graphTabs(status, source);
  const open = tabs.find(({ name }) => name === tab) ?? tabs[0];
  const title = node?.node ?? (edge ? arrow(edge.edge) : status.graph);
  return (
    <aside className="side" aria-label="Inspector">
      <div className="tabs">
        <div role="tablist" aria-label={title}>
          {tabs.map(({ name }) => (
            <button
              key={name}
              type="button"
              role="tab"
              aria-selected={name === open?.name}
              onClick={() => setQuery({ tab: name })}
            >
              {name}
            </button>
          ))}
        </div>
        {(node || edge) && (
          <button
            type="button"
            className="tabs-close"
            aria-label="Close, show the graph"
            onClick={() => setQuery({ node: undefined, edge: undefined, tab: undefined })}
          >
            <Icon name="close" />
          </button>
        )}
      </div>
      <div className="side-title">
        <h2>{title}</h2>
        <small>{node ? node.kind : edge ? "edge" : "graph"}</small>
      </div>
      <div className="side-body" role="tabpanel" aria-label={open?.name} key={`${title}/${open?.name}`}>
        {open?.content}
      </div>
    </aside>
  );
}

interface Tab {
  readonly name: string;
  readonly content: ReactNode;
}

function Facts({ children }: { readonly children: ReactNode }): ReactElement {
  return <dl className="facts">{children}</dl>;
}

function Fact({ name, children }: { readonly name: string; readonly children: ReactNode }): ReactElement {
  return (
    <>
      <dt>{name}</dt>
      <dd className="num">{children}</dd>
    </>
  );
}

function nodeTabs(status: GraphStatus, node: NodeStatus, source: string): readonly Tab[] {
  const name = node.node;
  const fact = (read: (live: LiveNode) => string): ReactElement => (
    <LiveText read={() => orDash(live.node(name), read)} />
  );
  const text = nodeSource(source, name);
  return [
    {
      name: "State",
      content: (
        <>
          <Facts>
            <Fact name="State">{fact(({ state }) => state)}</Fact>
            <Fact name="In">{fact(({ inRate }) => `${rate(inRate)}`)}</Fact>
            <Fact name="Out">{fact(({ outRate }) => rate(outRate))}</Fact>
            <Fact name="Busy">{fact(({ busy }) => percent(busy))}</Fact>
            <Fact name="Held by credit">{fact(({ blocked }) => percent(blocked))}</Fact>
            <Fact name="Held back by">{fact(({ pressure }) => (pressure === "none" ? "nothing" : pressure))}</Fact>
            {node.role === "committed" && (
              <Fact name="Arrival to durable, p99">
                {fact(({ commitP99Ms }) => (commitP99Ms === null ? "–" : duration(commitP99Ms)))}
              </Fact>
            )}
            <Fact name="Watermark">{fact(({ watermarkMs }) => minute(watermarkMs))}</Fact>
          </Facts>
          <Facts>
            <Fact name="Messages in">{fact(({ messagesIn }) => count(messagesIn))}</Fact>
            <Fact name="Messages out">{fact(({ messagesOut }) => count(messagesOut))}</Fact>
            <Fact name="Consumed">{fact(({ consumed }) => count(consumed))}</Fact>
            <Fact name="Dropped">{fact(({ dropped }) => count(dropped))}</Fact>
            <Fact name="Dead letters">{fact(({ deadLettered }) => count(deadLettered))}</Fact>
            <Fact name="Restarts">{fact(({ restarts }) => count(restarts))}</Fact>
            {node.role === "committed" && <Fact name="Steps committed">{fact(({ steps }) => count(steps))}</Fact>}
            {node.role === "committed" && (
              <Fact name="Steps in flight">{fact(({ stepsInFlight }) => count(stepsInFlight))}</Fact>
            )}
          </Facts>
          <p className="side-note">
            <LiveText read={() => live.node(name)?.reason ?? ""} />
          </p>
          <p className="side-note side-error">
            <LiveText read={() => live.node(name)?.error ?? ""} />
          </p>
          <NodeDetails graph={status.graph} node={name} />
        </>
      ),
    },
    {
      name: "Config",
      content: (
        <>
          <Facts>
            <Fact name="Kind">{node.kind}</Fact>
            <Fact name="Role">{node.role}</Fact>
            {node.guarantee !== undefined && <Fact name="Delivery">{node.guarantee}</Fact>}
            <Fact name="Epoch">{node.epoch}</Fact>
            <Fact name="Graph revision">{status.revision}</Fact>
          </Facts>
          {text === "" ? (
            <p className="side-note">The graph file does not show this node.</p>
          ) : (
            <pre className="source">{text}</pre>
          )}
        </>
      ),
    },
    {
      name: "Mailbox",
      content: <Mailboxes edges={status.edges.filter(({ to }) => to === name)} />,
    },
    { name: "Events", content: <EventList query={{ graph: status.graph, node: name }} /> },
  ];
}

const MAILBOXES = 40;

function Mailboxes({ edges }: { readonly edges: readonly EdgeStatus[] }): ReactElement {
  if (edges.length === 0) return <p className="side-note">A source has no mailbox: it reads when there is credit.</p>;
  return (
    <>
      {edges.slice(0, MAILBOXES).map((edge) => (
        <section key={edge.edge} className="mailbox">
          <h3>{arrow(edge.edge)}</h3>
          <MailboxFacts edge={edge} />
        </section>
      ))}
      {edges.length > MAILBOXES && <p className="side-note">{count(edges.length - MAILBOXES)} more.</p>}
    </>
  );
}

function MailboxFacts({ edge }: { readonly edge: EdgeStatus }): ReactElement {
  const fact = (read: (live: LiveEdge) => string): ReactElement => (
    <LiveText read={() => orDash(live.edge(edge.edge), read)} />
  );
  return (
    <Facts>
      <Fact name="Rate">{fact((one) => rate(one.rate))}</Fact>
      <Fact name="Mailbox">{fact(({ depth, capacity }) => `${count(depth)} / ${count(capacity)}`)}</Fact>
      <Fact name="Oldest">{fact(({ depth, oldestMs }) => (depth === 0 ? "–" : duration(oldestMs)))}</Fact>
      <Fact name="Watermark">{fact(({ watermarkMs }) => minute(watermarkMs))}</Fact>
      <Fact name="Waits for">{fact(({ aligning }) => aligning?.behind ?? "–")}</Fact>
      <Fact name="Messages">{fact(({ messages }) => count(messages))}</Fact>
      <Fact name="Dropped">{fact(({ dropped }) => count(dropped))}</Fact>
      <Fact name="Via">{edge.via}</Fact>
      <Fact name="Subject">
        <span title={edge.subject}>{edge.subject}</span>
      </Fact>
    </Facts>
  );
}

function edgeTabs(graph: string, edge: EdgeStatus): readonly Tab[] {
  return [
    {
      name: "Peek",
      content: (
        <>
          <MailboxFacts edge={edge} />
          <Peek graph={graph} edge={edge.edge} />
        </>
      ),
    },
    { name: "Sender", content: <EventList query={{ graph, node: edge.from }} /> },
    { name: "Receiver", content: <EventList query={{ graph, node: edge.to }} /> },
  ];
}

function graphTabs(status: GraphStatus, source: string): readonly Tab[] {
  const fact = (read: (live: LiveGraph) => string): ReactElement => (
    <LiveText read={() => orDash(live.graph(status.graph), read)} />
  );
  return [
    {
      name: "Graph",
      content: (
        <>
          <Facts>
            <Fact name="State">{fact(({ state }) => state)}</Fact>
            <Fact name="Revision">{fact(({ revision }) => String(revision))}</Fact>
            <Fact name="Durability">{fact(({ durability }) => durability)}</Fact>
            <Fact name="Started">{fact(({ startedMs }) => stamp(startedMs).slice(0, 19))}</Fact>
            <Fact name="Newest step">{fact(({ position }) => `#${count(position)}`)}</Fact>
            <Fact name="Nodes">{count(status.nodes.length)}</Fact>
            <Fact name="Edges">{count(status.edges.length)}</Fact>
          </Facts>
          <Facts>
            <Fact name="In">{fact(({ inRate }) => rate(inRate))}</Fact>
            <Fact name="Out">{fact(({ outRate }) => rate(outRate))}</Fact>
            <Fact name="Arrival to durable, p99">
              {fact(({ commitP99Ms }) => (commitP99Ms === null ? "–" : duration(commitP99Ms)))}
            </Fact>
            <Fact name="Messages in">{fact(({ messagesIn }) => count(messagesIn))}</Fact>
            <Fact name="Messages out">{fact(({ messagesOut }) => count(messagesOut))}</Fact>
            <Fact name="Dropped">{fact(({ dropped }) => count(dropped))}</Fact>
            <Fact name="Dead letters">{fact(({ deadLettered }) => count(deadLettered))}</Fact>
            <Fact name="Seen">
              <LiveText read={() => (live.status ? clock(live.status.atMs) : "–")} />
            </Fact>
          </Facts>
          <p className="side-note">Click a node for its state, an edge to see what crosses it.</p>
        </>
      ),
    },
    {
      name: "File",
      content:
        source === "" ? (
          <p className="side-note">This graph was not made from a file.</p>
        ) : (
          <pre className="source">{source}</pre>
        ),
    },
    { name: "Events", content: <EventList query={{ graph: status.graph }} /> },
  ];
}

function orDash<T>(value: T | undefined, read: (value: T) => string): string {
  return value === undefined ? "–" : read(value);
}
