import type { FastifyReply } from "fastify";
import type { Static } from "typebox";
import { NoQuery } from "../schema/field.ts";
import { HealthAnswer, LiveAnswer } from "../schema/health.ts";
import type { App, RouteContext } from "./route-context.ts";

const tags = ["health"];

/** `/livez`, `/readyz`, `/healthz`, and the names that other products give them. */
export function healthRoutes(app: App, context: RouteContext): void {
  const { clock } = context.deps.env;
  const startedMs = clock.monotonic();

  const report = async (): Promise<Static<typeof HealthAnswer>> => {
    const { checks } = await context.deps.health();
    return {
      status: checks.every(({ ok }) => ok) ? "ok" : "not-ready",
      version: context.deps.version,
      host: context.deps.hostName ?? "local",
      uptimeSeconds: Math.round((clock.monotonic() - startedMs) / 100) / 10,
      position: context.deps.log.durableEnd,
      checks: checks.map(({ name, ok, detail }) => ({ name, ok, detail })),
    };
  };
  const ready = async (_request: unknown, reply: FastifyReply): Promise<Static<typeof HealthAnswer>> => {
    const answer = await report();
    void reply.code(answer.status === "ok" ? 200 : 503).header("cache-control", "no-store");
    return answer;
  };

  for (const url of ["/livez", "/health/live"]) {
    const schema = { tags, summary: "The process answers", querystring: NoQuery, response: { 200: LiveAnswer } };
    app.get(url, { schema }, () => ({ status: "ok" as const }));
  }
  for (const url of ["/readyz", "/health/ready"]) {
    const schema = {
      tags,
      summary: "It can do its work; each check is listed",
      querystring: NoQuery,
      response: { 200: HealthAnswer, 503: HealthAnswer },
    };
    app.get(url, { schema }, ready);
  }
  for (const url of ["/healthz", "/health"]) {
    const schema = {
      tags,
      summary: "Everything about health",
      querystring: NoQuery,
      response: { 200: HealthAnswer, 503: HealthAnswer },
    };
    app.get(url, { schema }, ready);
  }
}
