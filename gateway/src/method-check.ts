/** 405 with `Allow` for a method that an address does not take; by itself fastify says that nothing is at the address. */
import { gatewayError } from "./errors.ts";
import type { App } from "./routes/route-context.ts";

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/** Answers, at every address that `addRoutes` adds, the methods that it adds no route for. */
export function refuseOtherMethods(app: App, addRoutes: () => void): void {
  const taken = new Map<string, Set<string>>();
  app.addHook("onRoute", ({ url, method }) => {
    const methods = taken.get(url) ?? new Set<string>();
    for (const each of [method].flat()) methods.add(each);
    taken.set(url, methods);
  });
  addRoutes();
  for (const [url, methods] of [...taken]) addRefusal(app, url, methods);
}

/** Answers the methods that `url` has no route for. */
export function addRefusal(app: App, url: string, methods: ReadonlySet<string>): void {
  const allow = [...methods].sort().join(", ");
  app.route({
    method: METHODS.filter((method) => !methods.has(method)),
    url,
    schema: { hide: true },
    handler: (request, reply) => {
      void reply.header("allow", allow);
      throw gatewayError("HTTP-METHOD", `${request.url.split("?")[0]} takes ${allow}, not ${request.method}`);
    },
  });
}
