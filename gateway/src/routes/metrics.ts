import { Type } from "typebox";
import { NoQuery } from "../schema/field.ts";
import type { App, RouteContext } from "./route-context.ts";

const tags = ["metrics"];

export function metricRoutes(app: App, { deps: { metrics } }: RouteContext): void {
  app.get(
    "/metrics",
    {
      schema: {
        tags,
        summary: "Metrics in Prometheus text format",
        querystring: NoQuery,
        response: { 200: { description: "Metrics", content: { "text/plain": { schema: Type.String() } } } },
      },
    },
    async (_request, reply) => {
      void reply.header("cache-control", "no-store").type(metrics.contentType);
      return metrics.metrics();
    },
  );
  app.get(
    "/metrics/json",
    {
      schema: {
        tags,
        summary: "The same metrics as JSON",
        querystring: NoQuery,
        response: { 200: Type.Array(Type.Unknown()) },
      },
    },
    () => metrics.getMetricsAsJSON(),
  );
}
