import type { ReactElement } from "react";
import { type EventPage, getJson } from "../api.ts";
import { bytes, clockMs, count } from "../format.ts";
import { Link } from "./link.tsx";
import { Failure } from "./notice.tsx";
import { useRequest } from "./use-request.ts";

const SHOWN = 30;

/** The newest events of a node or graph, asked for again every two seconds. */
export function EventList({ query }: { readonly query: Readonly<Record<string, string>> }): ReactElement {
  const search = new URLSearchParams(query);
  const address = `/api/v1/events?${search}&limit=${SHOWN}&payload=none`;
  const { value, failure } = useRequest(address, (signal) => getJson<EventPage>(address, signal), 2000);
  return (
    <div className="event-list">
      {failure && <Failure failure={failure} />}
      {value?.events.length === 0 && <p className="side-note">No events yet.</p>}
      <ol>
        {value?.events.map(({ position, type, timeMs, node, payloadBytes }) => (
          <li key={position}>
            <Link to={`/events?${search}&at=${position}`}>
              <span className="num">#{count(position)}</span>
              <strong>{type}</strong>
              <small className="num event-list-more">
                {clockMs(timeMs)} {query.node === undefined ? `· ${node} ` : ""}· {bytes(payloadBytes)}
              </small>
            </Link>
          </li>
        ))}
      </ol>
      <Link to={`/events?${search}`} className="button">
        All events
      </Link>
    </div>
  );
}
