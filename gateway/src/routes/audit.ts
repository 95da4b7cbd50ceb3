/**
 * What proves the log, as files: checkpoint, cosignatures of witnesses, verifier key and tiles, at the addresses of https://c2sp.org/tlog-tiles below
 * `/audit/`. They hold hashes and signatures, no events. Nothing else of the folder is served; the signing key lies in it.
 */
import { existsSync } from "node:fs";
import fastifyStatic from "@fastify/static";
import { addRefusal } from "../method-check.ts";
import type { App, RouteContext } from "./route-context.ts";

const PUBLIC =
  /^\/(?:checkpoint(?:-cosigned)?|verifier-key|cosigned\/[0-9a-f]{8}|tile\/\d+\/(?:x\d{3}\/)*\d{3}(?:\.p\/\d{1,3})?)$/;
const READING: ReadonlySet<string> = new Set(["GET", "HEAD"]);
const TILE = /\/tile\/\d+\//;

export function auditRoutes(app: App, { deps: { auditDir } }: RouteContext): void {
  if (auditDir === undefined || !existsSync(auditDir)) return;
  addRefusal(app, "/audit/*", READING);
  void app.register(fastifyStatic, {
    root: auditDir,
    prefix: "/audit/",
    decorateReply: false,
    dotfiles: "deny",
    index: false,
    cacheControl: false,
    schemaHide: true,
    allowedPath: (path) => PUBLIC.test(path),
    setHeaders: (reply, path) => {
      const isTile = TILE.test(path.slice(auditDir.length));
      void reply.header("content-type", isTile ? "application/octet-stream" : "text/plain; charset=utf-8");
      void reply.header("cache-control", isTile ? "public, max-age=31536000, immutable" : "no-cache");
    },
  });
}
