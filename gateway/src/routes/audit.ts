/** What proves the log, as files: checkpoint, cosignatures of witnesses, verifier key and tiles, at the addresses of tlog-tiles below `/audit/`. */
import { gatewayError } from "../errors.ts";
import { addRefusal } from "../method-check.ts";
import type { App, RouteContext } from "./route-context.ts";

const READING: ReadonlySet<string> = new Set(["GET", "HEAD"]);

export function auditRoutes(app: App, { deps: { audit } }: RouteContext): void {
  if (audit === undefined) return;
  addRefusal(app, "/audit/*", READING);
  app.get<{ Params: { readonly "*": string } }>("/audit/*", { schema: { hide: true } }, async (request, reply) => {
    const file = await audit.read(request.params["*"]);
    if (file === undefined) throw gatewayError("HTTP-NOT-FOUND", `nothing answers ${request.method} ${request.url}`);
    const { bytes, isTile } = file;
    void reply.header("content-type", isTile ? "application/octet-stream" : "text/plain; charset=utf-8");
    void reply.header("cache-control", isTile ? "public, max-age=31536000, immutable" : "no-cache");
    return reply.send(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  });
}
