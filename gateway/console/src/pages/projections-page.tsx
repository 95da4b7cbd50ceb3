import type { ReactElement } from "react";
import { getJson, type ProjectionInfo } from "../api.ts";
import { count, duration } from "../format.ts";
import { Link } from "../parts/link.tsx";
import { Empty, Failure } from "../parts/notice.tsx";
import { useRequest } from "../parts/use-request.ts";

interface List {
  readonly end: number;
  readonly projections: readonly ProjectionInfo[];
}

export function ProjectionsPage(): ReactElement {
  const { value, failure } = useRequest("projections", (signal) => getJson<List>("/api/v1/projections", signal), 1000);
  return (
    <main id="main" className="page">
      <p className="page-lead">Tables folded from the log. Each row is exactly as of the position beside it.</p>
      {failure && <Failure failure={failure} />}
      {value?.projections.length === 0 && (
        <Empty title="No view yet">
          <p>A sink makes one:</p>
          <pre className="source">{'board: { kind: sink, input: scored, to: "projection:departures" }'}</pre>
        </Empty>
      )}
      {value && value.projections.length > 0 && (
        <table className="table">
          <thead>
            <tr>
              <th scope="col">View</th>
              <th scope="col">State</th>
              <th scope="col" className="right">
                Rows
              </th>
              <th scope="col" className="right">
                As of
              </th>
              <th scope="col" className="right">
                Behind
              </th>
              <th scope="col" className="right">
                Version
              </th>
            </tr>
          </thead>
          <tbody>
            {value.projections.map(({ name, version, asOf, lag, lagMs = 0, state, reason, rows }) => (
              <tr key={name}>
                <th scope="row">
                  <Link to={`/projections/${encodeURIComponent(name)}`}>{name}</Link>
                </th>
                <td title={reason}>{state === "failed" ? `■ failed ${reason ?? ""}` : state}</td>
                <td className="right num">{rows === undefined ? "–" : count(rows)}</td>
                <td className="right num">#{count(asOf)}</td>
                <td className="right num">
                  {lag === 0 ? "–" : `${count(lag)} events${lagMs > 0 ? `, ${duration(lagMs)}` : ""}`}
                </td>
                <td className="right num">{version}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </main>
  );
}
