import { didYouMean } from "@millrace/engine";
import { clientSignal } from "../client-signal.ts";
import { gatewayError } from "../errors.ts";
import type { ProjectionInfo, ProjectionQuery } from "../ports.ts";
import { NoQuery } from "../schema/field.ts";
import { problemResponses } from "../schema/problem.ts";
import { ProjectionList, ProjectionPageSchema, ProjectionParams, ProjectionQuerySchema } from "../schema/projection.ts";
import { momentOf } from "./moment.ts";
import type { App, RouteContext } from "./route-context.ts";

const tags = ["projections"];

export function projectionRoutes(app: App, context: RouteContext): void {
  const { projections, log } = context.deps;

  app.get(
    "/api/v1/projections",
    {
      schema: {
        tags,
        summary: "Projections and how far they are",
        querystring: NoQuery,
        response: { 200: ProjectionList, ...problemResponses },
      },
    },
    async () => ({ begin: log.base ?? 0, end: log.durableEnd, projections: [...(await projections.list())] }),
  );

  app.get(
    "/api/v1/projections/:name",
    {
      schema: {
        tags,
        summary: "Rows of a projection, as of a position; `where.<field>=` filters",
        params: ProjectionParams,
        querystring: ProjectionQuerySchema,
        response: { 200: ProjectionPageSchema, ...problemResponses },
      },
    },
    async (request, reply) => {
      const { params, query } = request;
      await projectionOf(context, params.name);
      const page = await projections.query(params.name, projectionQuery(query), clientSignal(request, reply));
      return { asOf: page.asOf, rows: [...page.rows], next: page.next };
    },
  );
}

/** @throws HTTP-NOT-FOUND */
export async function projectionOf({ deps }: RouteContext, name: string): Promise<ProjectionInfo> {
  const all = await deps.projections.list();
  const found = all.find((projection) => projection.name === name);
  if (found) return found;
  const names = all.map((projection) => projection.name);
  throw gatewayError("HTTP-NOT-FOUND", `there is no projection ${name}${didYouMean(name, names)}`);
}

/** The port's query from the query string: `where.<field>` keys become one object. */
export function projectionQuery(query: object): ProjectionQuery {
  const { limit, cursor, order, minPosition, asOf } = query as Omit<ProjectionQuery, "asOf"> & {
    readonly asOf?: string;
  };
  const where = Object.fromEntries(
    Object.entries(query).flatMap(([key, value]) =>
      key.startsWith("where.") ? [[key.slice("where.".length), String(value)]] : [],
    ),
  );
  return {
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === undefined ? {} : { cursor }),
    ...(order === undefined ? {} : { order }),
    ...(minPosition === undefined ? {} : { minPosition }),
    ...(asOf === undefined ? {} : asOfMoment(asOf)),
    ...(Object.keys(where).length > 0 ? { where } : {}),
  };
}

function asOfMoment(asOf: string): Pick<ProjectionQuery, "asOf" | "asOfTimeMs"> {
  const moment = momentOf(asOf, "asOf");
  return "position" in moment ? { asOf: moment.position } : { asOfTimeMs: moment.timeMs };
}
