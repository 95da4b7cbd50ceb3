/** Everything that happened. The list is a window over what was loaded; the newest come in by themselves unless frozen. */
import { type ReactElement, useEffect, useRef, useState } from "react";
import { type EventDocument, type EventHead, type EventPage, getJson, type RequestFailure } from "../api.ts";
import { bytes, clockMs, count, stamp } from "../format.ts";
import { type EventRows, NO_ROWS, withNewer, withNewest, withOlder } from "../live/event-rows.ts";
import { live } from "../live/live-store.ts";
import { Icon } from "../parts/icons.tsx";
import { JsonView } from "../parts/json-view.tsx";
import { Link } from "../parts/link.tsx";
import { Empty, Failure } from "../parts/notice.tsx";
import { useRequest } from "../parts/use-request.ts";
import { VirtualList } from "../parts/virtual-list.tsx";
import { setQuery } from "../router.ts";

const FILTERS = [
  { key: "type", name: "Type" },
  { key: "graph", name: "Graph" },
  { key: "node", name: "Node" },
  { key: "streamPrefix", name: "Stream" },
  { key: "correlation", name: "Correlation" },
] as const;
const PAGE = 200;
const ROW_HEIGHT = 27;

export function EventsPage({ query }: { readonly query: URLSearchParams }): ReactElement {
  const filter = new URLSearchParams(
    FILTERS.flatMap(({ key }) => (query.get(key) ? [[key, query.get(key) as string]] : [])),
  );
  const at = query.get("at");
  return (
    <div className="split-page">
      <main id="main" className="page page-fill">
        <Filters query={query} />
        <EventTable key={filter.toString()} filter={filter.toString()} at={at} />
      </main>
      {at !== null && <EventPanel position={at} />}
    </div>
  );
}

function Filters({ query }: { readonly query: URLSearchParams }): ReactElement {
  return (
    <form className="filters" onSubmit={(event) => event.preventDefault()} aria-label="Filter events">
      {FILTERS.map(({ key, name }) => (
        <label key={key} className="filter">
          {name}
          <input
            key={query.get(key) ?? ""}
            type="search"
            defaultValue={query.get(key) ?? ""}
            spellCheck={false}
            onBlur={(event) => setQuery({ [key]: event.target.value.trim() })}
            onKeyDown={(event) => event.key === "Enter" && setQuery({ [key]: event.currentTarget.value.trim() })}
          />
        </label>
      ))}
    </form>
  );
}

function EventTable({ filter, at }: { readonly filter: string; readonly at: string | null }): ReactElement {
  const [loaded, setLoaded] = useState<EventRows>();
  const [failure, setFailure] = useState<RequestFailure>();
  const [isFrozen, setIsFrozen] = useState(false);
  const [newer, setNewer] = useState(0);
  const frozen = useRef(isFrozen);
  frozen.current = isFrozen;
  const newest = useRef(-1);
  newest.current = loaded?.events[0]?.position ?? -1;
  const isLoading = useRef(false);

  const load = async (page: string, into: (before: EventRows, page: EventPage) => EventRows): Promise<void> => {
    try {
      const answer = await getJson<EventPage>(`/api/v1/events?${filter}&limit=${PAGE}&payload=none${page}`);
      setFailure(undefined);
      setLoaded((before) => into(before ?? NO_ROWS, answer));
    } catch (thrown) {
      setFailure(thrown as RequestFailure);
    }
  };
  const loadNewest = (): void => {
    const since = newest.current;
    void load("", (before, page) => withNewest(before, page, since));
  };
  const loadOlder = (cursor: string): void => {
    if (isLoading.current) return;
    isLoading.current = true;
    void load(`&cursor=${encodeURIComponent(cursor)}`, (before, page) => withOlder(before, page, cursor)).finally(
      () => {
        isLoading.current = false;
      },
    );
  };

  // biome-ignore lint/correctness/useExhaustiveDependencies: loads once; another filter makes another table.
  useEffect(() => {
    loadNewest();
    const leave = live.on("events", () => {
      const message = live.events;
      if (!message) return;
      if (frozen.current) setNewer((before) => before + message.events.length + message.skipped);
      else setLoaded((before) => withNewer(before ?? NO_ROWS, message.events, message.skipped));
    });
    // A new connection tells nothing of what happened before it.
    const leaveOpened = live.on("opened", () => {
      if (!frozen.current) loadNewest();
    });
    return () => {
      leave();
      leaveOpened();
    };
  }, []);

  const goOn = (): void => {
    setIsFrozen(!isFrozen);
    setNewer(0);
    if (isFrozen) loadNewest();
  };
  const events = loaded?.events ?? [];
  return (
    <>
      <div className="list-head">
        <span className="num faint">
          {count(events.length)} shown
          {loaded && loaded.skipped > 0 ? ` · ${count(loaded.skipped)} came too fast to show` : ""}
        </span>
        <span className="grow" />
        <button type="button" className="button" aria-pressed={isFrozen} onClick={goOn}>
          {isFrozen ? `Go on · ${count(newer)} newer` : "Freeze"}
        </button>
      </div>
      {failure && <Failure failure={failure} />}
      {loaded && events.length === 0 ? (
        <Empty title="No events">
          <p>Nothing in the log passes this filter. New events appear here by themselves.</p>
        </Empty>
      ) : (
        <VirtualList
          label="Events, newest first"
          className="event-rows"
          rowHeight={ROW_HEIGHT}
          items={events}
          keyOf={({ position }) => position}
          onEnd={() => loaded?.next && loadOlder(loaded.next)}
          row={(event) => <EventRow event={event} isOpen={String(event.position) === at} />}
        />
      )}
    </>
  );
}

function EventRow({ event, isOpen }: { readonly event: EventHead; readonly isOpen: boolean }): ReactElement {
  return (
    <button
      type="button"
      className={isOpen ? "event-row selected" : "event-row"}
      onClick={() => setQuery({ at: String(event.position) }, "push")}
    >
      <span className="num event-position">#{count(event.position)}</span>
      <span className="num faint">{clockMs(event.timeMs)}</span>
      <strong>{event.type}</strong>
      <span className="event-stream">{event.stream}</span>
      <span className="num faint">rev {count(event.revision)}</span>
      <span className="num faint right">{bytes(event.payloadBytes)}</span>
    </button>
  );
}

function EventPanel({ position }: { readonly position: string }): ReactElement {
  const address = `/api/v1/events/${encodeURIComponent(position)}?payload=brief`;
  const { value, failure } = useRequest(address, (signal) => getJson<EventDocument>(address, signal));
  return (
    <aside className="side" aria-label="Event">
      <div className="side-title">
        <h2 className="num">#{count(Number(position))}</h2>
        <small>{value?.type}</small>
        <span className="grow" />
        <button type="button" className="tabs-close" aria-label="Close" onClick={() => setQuery({ at: undefined })}>
          <Icon name="close" />
        </button>
      </div>
      <div className="side-body">
        {failure && <Failure failure={failure} />}
        {value && <EventFacts event={value} />}
      </div>
    </aside>
  );
}

function EventFacts({ event }: { readonly event: EventDocument }): ReactElement {
  return (
    <>
      <dl className="facts">
        <dt>Time</dt>
        <dd className="num">{stamp(event.timeMs)}</dd>
        <dt>Stream</dt>
        <dd className="num" title={event.stream}>
          <Link to={`/events?streamPrefix=${encodeURIComponent(event.stream)}`}>{event.stream}</Link>
        </dd>
        <dt>Revision</dt>
        <dd className="num">{count(event.revision)}</dd>
        {event.graph !== "" && (
          <>
            <dt>Graph</dt>
            <dd className="num">
              {event.graph} rev {event.graphRevision}
            </dd>
            <dt>Node</dt>
            <dd className="num">
              {event.node || "–"} · epoch {event.epoch}
            </dd>
          </>
        )}
        <dt>By</dt>
        <dd className="num">{event.principal || "–"}</dd>
        <dt>Correlation</dt>
        <dd className="num" title={event.correlationId}>
          <Link to={`/events?correlation=${event.correlationId}`}>{event.correlationId}</Link>
        </dd>
        <dt>Caused by</dt>
        <dd className="num" title={event.causationId}>
          {event.causationId}
        </dd>
        <dt>Code</dt>
        <dd className="num">{event.codeVersion}</dd>
      </dl>
      <h3 className="side-heading">
        Payload <small className="num">{bytes(event.payloadBytes)}</small>
      </h3>
      <div className="message">
        <JsonView value={event.payload} lines />
      </div>
    </>
  );
}
