import type { ReactElement, ReactNode } from "react";
import { getHealth, getJson, type MetricFamily } from "../api.ts";
import { bytes, count, duration } from "../format.ts";
import { Failure } from "../parts/notice.tsx";
import { useRequest } from "../parts/use-request.ts";

/** The host of these graphs: is it well, and what does it use. */
export function HostPage(): ReactElement {
  const health = useRequest("health", getHealth, 2000);
  const metrics = useRequest("metrics", (signal) => getJson<readonly MetricFamily[]>("/metrics/json", signal), 2000);
  return (
    <main id="main" className="page">
      <div className="list-head">
        <h2 className="page-title">{health.value?.host ?? "Host"}</h2>
        {health.value && (
          <span className={`pill state-${health.value.status === "ok" ? "running" : "failed"}`}>
            <i className="dot" />
            {health.value.status === "ok" ? "ready" : "not ready"}
          </span>
        )}
      </div>
      {health.failure && <Failure failure={health.failure} />}
      {health.value && (
        <div className="tiles">
          <Tile name="Version">{health.value.version}</Tile>
          <Tile name="Up">{duration(health.value.uptimeSeconds * 1000)}</Tile>
          <Tile name="Log">#{count(health.value.position)}</Tile>
          <Tile name="Memory">{bytes(metricOf(metrics.value, "millrace_process_resident_memory_bytes"))}</Tile>
          <Tile name="CPU time">{duration(metricOf(metrics.value, "millrace_process_cpu_seconds_total") * 1000)}</Tile>
          <Tile name="Event loop p99">
            {duration(metricOf(metrics.value, "millrace_nodejs_eventloop_lag_p99_seconds") * 1000)}
          </Tile>
        </div>
      )}
      <table className="table">
        <caption>Checks</caption>
        <thead>
          <tr>
            <th scope="col">Check</th>
            <th scope="col">State</th>
            <th scope="col">Observed</th>
          </tr>
        </thead>
        <tbody>
          {health.value?.checks.map(({ name, ok, detail }) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td className={ok ? "good" : "bad"}>{ok ? "✓ ok" : "■ failing"}</td>
              <td className="sentence">{detail}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p className="links">
        <a href="/docs">API documentation</a> <a href="/metrics">Metrics</a> <a href="/healthz">Health as JSON</a>{" "}
        <a href="/schemas/graph.schema.json">Schema of graph files</a>
      </p>
    </main>
  );
}

function Tile({ name, children }: { readonly name: string; readonly children: ReactNode }): ReactElement {
  return (
    <div className="tile">
      <span>{name}</span>
      <b className="num">{children}</b>
    </div>
  );
}

function metricOf(families: readonly MetricFamily[] | undefined, name: string): number {
  return families?.find((family) => family.name === name)?.values[0]?.value ?? 0;
}
