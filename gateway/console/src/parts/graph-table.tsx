/** The graph in text: the same nodes, edges and numbers as the canvas. */
import { type ReactElement, useState } from "react";
import type { GraphStatus } from "../api.ts";
import { fillOf, GLYPH } from "../canvas/painter.ts";
import { arrow, count, duration, percent, rate } from "../format.ts";
import { live } from "../live/live-store.ts";
import type { LiveEdge, LiveNode } from "../live/live-types.ts";
import { LiveText } from "../live/use-live.tsx";
import type { Selection } from "../selection.ts";

const ROWS_MAX = 200;

interface GraphTableProps {
  readonly status: GraphStatus;
  readonly selection: Selection;
  readonly onSelect: (selection: Selection) => void;
}

export function GraphTable({ status, selection, onSelect }: GraphTableProps): ReactElement {
  const [filter, setFilter] = useState("");
  const matches = (name: string): boolean => name.toLowerCase().includes(filter.toLowerCase());
  const nodes = status.nodes.filter(({ node }) => matches(node));
  const edges = status.edges.filter(({ edge }) => matches(edge));
  return (
    <div className="table-view">
      <label className="filter">
        Filter
        <input value={filter} onChange={(event) => setFilter(event.target.value)} type="search" />
      </label>
      <table className="table">
        <caption>
          Nodes <small className="caption-count">{shownOf(nodes.length, status.nodes.length)}</small>
        </caption>
        <thead>
          <tr>
            <th scope="col">Node</th>
            <th scope="col">Kind</th>
            <th scope="col">State</th>
            <th scope="col" className="right">
              In
            </th>
            <th scope="col" className="right">
              Out
            </th>
            <th scope="col" className="right">
              Waiting
            </th>
            <th scope="col" className="right">
              Busy
            </th>
            <th scope="col" className="right">
              Dead
            </th>
            <th scope="col" className="right">
              Restarts
            </th>
          </tr>
        </thead>
        <tbody>
          {nodes.slice(0, ROWS_MAX).map(({ node, kind }) => (
            <tr key={node} className={selection.node === node ? "selected" : undefined}>
              <th scope="row">
                <button type="button" className="cell-button" onClick={() => onSelect({ node })}>
                  {node}
                </button>
              </th>
              <td>{kind}</td>
              <NodeCells node={node} />
            </tr>
          ))}
        </tbody>
      </table>
      <table className="table">
        <caption>
          Edges <small className="caption-count">{shownOf(edges.length, status.edges.length)}</small>
        </caption>
        <thead>
          <tr>
            <th scope="col">Edge</th>
            <th scope="col">Via</th>
            <th scope="col" className="right">
              Rate
            </th>
            <th scope="col" className="right">
              Mailbox
            </th>
            <th scope="col" className="right">
              Fill
            </th>
            <th scope="col" className="right">
              Oldest
            </th>
            <th scope="col" className="right">
              Messages
            </th>
          </tr>
        </thead>
        <tbody>
          {edges.slice(0, ROWS_MAX).map(({ edge, via }) => (
            <tr key={edge} className={selection.edge === edge ? "selected" : undefined}>
              <th scope="row">
                <button type="button" className="cell-button" onClick={() => onSelect({ edge })}>
                  {arrow(edge)}
                </button>
              </th>
              <td>{via}</td>
              <EdgeCells edge={edge} />
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function shownOf(found: number, all: number): string {
  const shown = Math.min(found, ROWS_MAX);
  return shown === all ? String(all) : `${shown} of ${all}; filter for others`;
}

function NodeCells({ node }: { readonly node: string }): ReactElement {
  const cell = (read: (live: LiveNode) => string) => <LiveText read={() => orDash(live.node(node), read)} />;
  return (
    <>
      <td>
        {cell(({ state }) => (state === "parked" ? "■ parked" : state === "backing-off" ? "▲ backing off" : state))}
      </td>
      <td className="right num">{cell(({ inRate }) => rate(inRate))}</td>
      <td className="right num">{cell(({ outRate }) => rate(outRate))}</td>
      <td className="right num">
        {cell(({ depth, capacity }) => (capacity === 0 ? "–" : `${count(depth)} / ${count(capacity)}`))}
      </td>
      <td className="right num">{cell(({ busy }) => percent(busy))}</td>
      <td className="right num">{cell(({ deadLettered }) => count(deadLettered))}</td>
      <td className="right num">{cell(({ restarts }) => count(restarts))}</td>
    </>
  );
}

function EdgeCells({ edge }: { readonly edge: string }): ReactElement {
  const cell = (read: (live: LiveEdge) => string) => <LiveText read={() => orDash(live.edge(edge), read)} />;
  return (
    <>
      <td className="right num">{cell((one) => rate(one.rate))}</td>
      <td className="right num">{cell(({ depth, capacity }) => `${count(depth)} / ${count(capacity)}`)}</td>
      <td className="right num">{cell(filled)}</td>
      <td className="right num">{cell(({ depth, oldestMs }) => (depth === 0 ? "–" : duration(oldestMs)))}</td>
      <td className="right num">{cell(({ messages }) => count(messages))}</td>
    </>
  );
}

function filled({ depth, capacity }: LiveEdge): string {
  return `${GLYPH[fillOf(depth, capacity)]} ${percent(capacity > 0 ? depth / capacity : 0)}`.trim();
}

function orDash<T>(value: T | undefined, read: (value: T) => string): string {
  return value === undefined ? "–" : read(value);
}
