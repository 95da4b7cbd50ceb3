import type { FastifyReply, FastifyRequest } from "fastify";
import { Counter, Histogram, type Registry } from "prom-client";

/** Counts and times requests by route, never by address, so that the number of series is bounded. */
export class HttpMetrics {
  readonly #requests: Counter;
  readonly #seconds: Histogram;

  constructor(registry: Registry) {
    this.#requests = new Counter({
      name: "millrace_http_requests_total",
      help: "Requests answered.",
      labelNames: ["method", "route", "status"],
      registers: [registry],
    });
    this.#seconds = new Histogram({
      name: "millrace_http_request_duration_seconds",
      help: "Time to answer a request.",
      labelNames: ["route"],
      buckets: [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10],
      registers: [registry],
    });
  }

  record(request: FastifyRequest, reply: FastifyReply): void {
    const route = request.routeOptions.url ?? "unknown";
    this.#requests.inc({ method: request.method, route, status: String(reply.statusCode) });
    this.#seconds.observe({ route }, reply.elapsedTime / 1000);
  }
}
