import { type ReactElement, type ReactNode, useEffect } from "react";
import { getHealth, getJson } from "./api.ts";
import { clock, count } from "./format.ts";
import { live } from "./live/live-store.ts";
import { LiveText, useConnection, useLive } from "./live/use-live.tsx";
import { DeadLettersPage } from "./pages/dead-letters-page.tsx";
import { EventsPage } from "./pages/events-page.tsx";
import { GraphPage } from "./pages/graph-page.tsx";
import { GraphsPage } from "./pages/graphs-page.tsx";
import { HostPage } from "./pages/host-page.tsx";
import { ProjectionPage } from "./pages/projection-page.tsx";
import { ProjectionsPage } from "./pages/projections-page.tsx";
import { Icon, type IconName, Logo } from "./parts/icons.tsx";
import { Link } from "./parts/link.tsx";
import { Empty } from "./parts/notice.tsx";
import { useRequest } from "./parts/use-request.ts";
import { graphPage, navigate, type Route, useRoute } from "./router.ts";

const DESTINATIONS: readonly {
  readonly to: string;
  readonly name: string;
  /** Where the rail has no room for it. */
  readonly title?: string;
  readonly icon: IconName;
  readonly key: string;
}[] = [
  { to: "/graphs", name: "Graphs", icon: "graphs", key: "graphs" },
  { to: "/events", name: "Events", icon: "events", key: "events" },
  { to: "/projections", name: "Tables", title: "Projections", icon: "views", key: "projections" },
  { to: "/dead-letters", name: "Dead", title: "Dead letters", icon: "dead", key: "dead-letters" },
  { to: "/host", name: "Host", icon: "host", key: "host" },
];

export function App(): ReactElement {
  const route = useRoute();
  const parameters = liveParameters(route);
  const chosen = JSON.stringify(parameters);
  useEffect(() => live.choose(JSON.parse(chosen) as Record<string, string>), [chosen]);
  const title = titleOf(route);
  useEffect(() => {
    document.title = title;
  }, [title]);
  const names = useLive(() => live.status?.graphs.map(({ graph }) => graph));
  const first = names?.[0];
  useEffect(() => {
    if (route.path.length === 0 && names) navigate(first === undefined ? "/graphs" : graphPage(first), "replace");
  }, [route, names, first]);
  return (
    <div className="app">
      <a className="skip" href="#main">
        Skip to content
      </a>
      <TopBar route={route} />
      <Rail current={route.path[0] ?? "graphs"} />
      <Page route={route} />
    </div>
  );
}

/** What tabs, bookmarks and screen readers call a page: the most particular first. */
function titleOf({ path }: Route): string {
  const [page = "graphs", name] = path;
  const destination = DESTINATIONS.find(({ key }) => key === page);
  return [name, destination?.title ?? destination?.name, "Millrace"].filter((part) => part !== undefined).join(" · ");
}

/** One connection carries what the page shows, and nothing else. */
function liveParameters({ path, query }: Route): Record<string, string> {
  const [page, name] = path;
  if (page === "graphs" && name !== undefined) {
    const edge = query.get("edge");
    return { graph: name, events: "none", ...(edge === null ? {} : { peek: `${name}/${edge}` }) };
  }
  if (page === "events") {
    const filter = ["type", "graph", "node", "streamPrefix", "correlation"].flatMap((key) => {
      const value = query.get(key);
      return value ? [[key, value] as const] : [];
    });
    return { status: "summary", ...Object.fromEntries(filter) };
  }
  return { status: "summary", events: "none" };
}

function Page({ route: { path, query } }: { readonly route: Route }): ReactNode {
  const [page, name] = path;
  switch (page) {
    case undefined:
      return <main id="main" className="page" />;
    case "graphs":
      return name === undefined ? <GraphsPage /> : <GraphPage key={name} graph={name} query={query} />;
    case "events":
      return <EventsPage query={query} />;
    case "projections":
      return name === undefined ? <ProjectionsPage /> : <ProjectionPage key={name} name={name} query={query} />;
    case "dead-letters":
      return <DeadLettersPage query={query} />;
    case "host":
      return <HostPage />;
    default:
      return (
        <main id="main" className="page">
          <Empty title="Nothing is at this address">
            <p>
              Go to the <Link to="/graphs">graphs</Link>.
            </p>
          </Empty>
        </main>
      );
  }
}

const BADGE_MAX = 100;

/** Dead letters that wait for somebody, counted again when more came. */
function useWaitingDeadLetters(): string {
  const recorded = useLive(() => live.status?.graphs.reduce((sum, { deadLettered }) => sum + deadLettered, 0) ?? 0);
  const address = `/api/v1/dlq?state=waiting&limit=${BADGE_MAX}`;
  const ask = (signal: AbortSignal) => getJson<{ readonly rows: readonly unknown[] }>(address, signal);
  const { value } = useRequest(`${address} ${recorded}`, ask, 5000);
  const waiting = value?.rows.length ?? 0;
  return waiting === 0 ? "" : waiting >= BADGE_MAX ? `${BADGE_MAX - 1}+` : String(waiting);
}

function Rail({ current }: { readonly current: string }): ReactElement {
  const waiting = useWaitingDeadLetters();
  return (
    <nav className="rail" aria-label="Main">
      {DESTINATIONS.map(({ to, name, icon, key }) => (
        <Link key={key} to={to} isCurrent={key === current}>
          <Icon name={icon} />
          {name}
          {key === "dead-letters" && waiting !== "" && (
            <span className="badge">
              {waiting}
              <span className="sr-only"> dead letters</span>
            </span>
          )}
        </Link>
      ))}
    </nav>
  );
}

function TopBar({ route: { path } }: { readonly route: Route }): ReactElement {
  const [page = "graphs", name] = path;
  const destination = DESTINATIONS.find(({ key }) => key === page);
  return (
    <header className="top">
      <Link to="/graphs" className="logo" title="Millrace">
        <Logo />
        <span className="sr-only">Millrace</span>
      </Link>
      <h1 className="crumb">
        {destination ? <Link to={destination.to}>{destination.title ?? destination.name}</Link> : <span>Millrace</span>}
        {name !== undefined && (
          <>
            <span aria-hidden="true">/</span>
            {page === "graphs" ? <GraphChoice graph={name} /> : <b>{name}</b>}
          </>
        )}
      </h1>
      {page === "graphs" && name !== undefined && <GraphState graph={name} />}
      <ClockChip />
      <span className="grow" />
      <HostPill />
    </header>
  );
}

function HostPill(): ReactElement | null {
  const { value } = useRequest("host", getHealth);
  if (!value) return null;
  return (
    <Link to="/host" className="pill host">
      host <b>{value.host}</b> <span className="num faint">{value.version}</span>
    </Link>
  );
}

/** The name of the graph; where there are several, a list to change to another. */
function GraphChoice({ graph }: { readonly graph: string }): ReactElement {
  const names = useLive(() => live.status?.graphs.map((one) => one.graph) ?? [graph]);
  const revision = useLive(() => live.graph(graph)?.revision);
  const isAlone = names.length < 2 || !names.includes(graph);
  return (
    <>
      {isAlone ? (
        <b>{graph}</b>
      ) : (
        <select
          className="choice"
          aria-label="Graph"
          value={graph}
          onChange={(event) => navigate(graphPage(event.target.value))}
        >
          {names.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
      )}
      {revision !== undefined && <span className="num faint">rev {revision}</span>}
    </>
  );
}

function GraphState({ graph }: { readonly graph: string }): ReactElement | null {
  const found = useLive(() => {
    const one = live.graph(graph);
    return one && { state: one.state, durability: one.durability };
  });
  if (!found) return null;
  return (
    <span className={`pill state-${found.state}`}>
      <i className="dot" />
      {found.state} · {found.durability}
    </span>
  );
}

function ClockChip(): ReactElement {
  const connection = useConnection();
  const position = (): string => `#${count(live.status?.end ?? 0)}`;
  if (connection === "live") {
    return (
      <span className="pill clock num">
        <i className="dot" /> LIVE <LiveText read={position} />
      </span>
    );
  }
  const heard = live.status ? `last seen ${clock(live.status.atMs)} ${position()}` : "";
  return (
    <span className="pill clock clock-lost num" role="status">
      <i className="dot" /> {connection === "lost" ? "NOT LIVE" : "CONNECTING"} {heard}
    </span>
  );
}
