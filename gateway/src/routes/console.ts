/** The built console: its files as they are, and its page for every address that only the page knows. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import fastifyStatic from "@fastify/static";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { App, RouteContext } from "./route-context.ts";

const API = /^\/(?:api|audit|docs|metrics|schemas|health|livez|readyz|assets)(?:\/|\?|$)/;

export function consoleRoutes(app: App, { deps: { consoleDir } }: RouteContext): void {
  if (consoleDir === undefined || !existsSync(join(consoleDir, "index.html"))) return;
  void app.register(fastifyStatic, {
    root: consoleDir,
    dotfiles: "deny",
    wildcard: true,
    cacheControl: false,
    schemaHide: true,
    setHeaders: (reply, path) => {
      const isNamedByContent = path.includes("/assets/");
      void reply.header("cache-control", isNamedByContent ? "public, max-age=31536000, immutable" : "no-cache");
    },
  });
}

/** True for an address that a person opened and that the console's own router understands. */
export function isConsolePage(request: FastifyRequest, { deps: { consoleDir } }: RouteContext): boolean {
  const wantsPage = request.method === "GET" && (request.headers.accept ?? "").includes("text/html");
  return consoleDir !== undefined && wantsPage && !API.test(request.url) && existsSync(join(consoleDir, "index.html"));
}

export function sendConsolePage(reply: FastifyReply): FastifyReply {
  return reply.header("cache-control", "no-cache").sendFile("index.html");
}
