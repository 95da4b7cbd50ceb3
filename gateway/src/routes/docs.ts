/** API documentation. Its viewer is large, so its files are looked up when the first person asks for them. */

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { Type } from "typebox";
import { gatewayError } from "../errors.ts";
import { NoQuery } from "../schema/field.ts";
import type { App, RouteContext } from "./route-context.ts";

const PAGE = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Millrace API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/docs/static/swagger-ui.css"></head>
<body><div id="api"></div>
<script src="/docs/static/swagger-ui-bundle.js"></script><script src="/docs/static/start.js"></script></body></html>
`;
const START = `SwaggerUIBundle({ url: "/docs/json", dom_id: "#api", deepLinking: true, docExpansion: "list" });\n`;
const FILES: Readonly<Record<string, string>> = {
  "swagger-ui.css": "text/css; charset=utf-8",
  "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
};

export function docRoutes(app: App, { deps }: RouteContext): void {
  const html = { description: "A page", content: { "text/html": { schema: Type.String() } } };
  const tags = ["documentation"];

  app.get(
    "/docs",
    { schema: { tags, summary: "This documentation, for reading", querystring: NoQuery, response: { 200: html } } },
    (_request, reply) => {
      void reply.type("text/html; charset=utf-8");
      return PAGE;
    },
  );
  app.get(
    "/docs/json",
    {
      schema: {
        tags,
        summary: "This documentation as OpenAPI 3.1",
        querystring: NoQuery,
        response: { 200: Type.Unknown() },
      },
    },
    () => app.swagger(),
  );
  app.get("/docs/static/:file", { schema: { hide: true } }, async (request, reply) => {
    const { file } = request.params as { readonly file: string };
    if (file === "start.js") return reply.type("text/javascript; charset=utf-8").send(START);
    const type = Object.hasOwn(FILES, file) ? FILES[file] : undefined;
    if (type === undefined) throw gatewayError("HTTP-NOT-FOUND", `there is no file ${file}`);
    return reply
      .type(type)
      .header("cache-control", "max-age=3600")
      .send(await readFile(join(viewerDir(), file)));
  });
  app.get(
    "/schemas/graph.schema.json",
    {
      schema: { tags, summary: "JSON Schema of graph files", querystring: NoQuery, response: { 200: Type.Unknown() } },
    },
    (_request, reply) => {
      if (!deps.graphSchema) throw gatewayError("HTTP-NOT-FOUND", "this server has no graph schema");
      void reply.type("application/schema+json");
      return deps.graphSchema;
    },
  );
}

function viewerDir(): string {
  return join(dirname(createRequire(import.meta.url).resolve("@fastify/swagger-ui")), "static");
}
