import { gatewayError } from "../errors.ts";
import {
  DeadLetterPageSchema,
  DeadLetterParams,
  DeadLetterQuery,
  DeadLetterSchema,
  RedriveAnswer,
  RedriveBody,
} from "../schema/dead-letter.ts";
import { NoQuery } from "../schema/field.ts";
import { problemResponses } from "../schema/problem.ts";
import { type App, graphOf, type RouteContext } from "./route-context.ts";

const tags = ["dead letters"];

export function deadLetterRoutes(app: App, context: RouteContext): void {
  const { deadLetters, host } = context.deps;

  app.get(
    "/api/v1/dlq",
    {
      schema: {
        tags,
        summary: "Dead letters, newest first",
        querystring: DeadLetterQuery,
        response: { 200: DeadLetterPageSchema, ...problemResponses },
      },
    },
    async ({ query }) => {
      const { asOf, rows, next } = await deadLetters.list(query);
      return { asOf, rows: [...rows], next };
    },
  );

  app.get(
    "/api/v1/dlq/:id",
    {
      schema: {
        tags,
        summary: "One dead letter",
        params: DeadLetterParams,
        querystring: NoQuery,
        response: { 200: DeadLetterSchema, ...problemResponses },
      },
    },
    async ({ params: { id } }) => {
      const found = await deadLetters.get(id);
      if (!found) throw gatewayError("HTTP-NOT-FOUND", `there is no dead letter ${id}`);
      return found;
    },
  );

  app.post(
    "/api/v1/dlq/redrive",
    {
      schema: {
        tags,
        summary: "Sends dead letters through their node again, as new input",
        querystring: NoQuery,
        body: RedriveBody,
        response: { 200: RedriveAnswer, ...problemResponses },
      },
    },
    async (request) => {
      const { graph, ids, reason } = request.body;
      graphOf(context, graph);
      const redriven = await host.redrive(graph, ids, { principal: context.guard.principal(request), reason });
      return { redriven };
    },
  );
}
