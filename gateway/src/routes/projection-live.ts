/** A page of a projection that stays current: first the page, then only the rows that changed. */
import type { Beat } from "../live/live-feed.ts";
import { SseStream } from "../live/sse-stream.ts";
import { problemResponses } from "../schema/problem.ts";
import { ProjectionLiveQuerySchema, ProjectionParams } from "../schema/projection.ts";
import { eventStream, openStream, STREAMING } from "./live.ts";
import { projectionOf, projectionQuery } from "./projections.ts";
import type { App, RouteContext } from "./route-context.ts";

const DESCRIPTION = `Server-sent events; \`id:\` is the position the rows are as of.
\`page\`: \`{asOf, rows, next}\`. \`patch\`: \`{asOf, length, rows: [[index, row], …], next}\` changes the page before.`;

export function projectionLiveRoutes(app: App, context: RouteContext): void {
  app.get(
    "/api/v1/projections/:name/live",
    {
      ...STREAMING,
      schema: {
        tags: ["live"],
        summary: "Rows of a projection as they change",
        description: DESCRIPTION,
        params: ProjectionParams,
        querystring: ProjectionLiveQuerySchema,
        response: { 200: eventStream, ...problemResponses },
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      await projectionOf(context, name);
      const stream = openStream(context, new SseStream(reply, context.deps));
      const page = new LivePage(context, stream, name, request.query);
      context.feed.watch((beat) => page.onBeat(beat), stream.signal);
    },
  );
}

class LivePage {
  readonly #context: RouteContext;
  readonly #stream: SseStream;
  readonly #name: string;
  readonly #query: ReturnType<typeof projectionQuery>;
  #sent: readonly string[] | undefined;
  #asOf = -1;
  #isTelling = false;

  constructor(context: RouteContext, stream: SseStream, name: string, query: object) {
    this.#context = context;
    this.#stream = stream;
    this.#name = name;
    this.#query = projectionQuery(query);
  }

  onBeat(_beat: Beat): void {
    if (this.#isTelling || !this.#stream.hasRoom) return;
    this.#isTelling = true;
    this.#tell()
      .catch((thrown: unknown) => {
        if (!this.#stream.signal.aborted) this.#context.deps.report?.(thrown, "live");
        this.#stream.end();
      })
      .finally(() => {
        this.#isTelling = false;
      });
  }

  async #tell(): Promise<void> {
    const info = await projectionOf(this.#context, this.#name);
    if (info.asOf === this.#asOf) return;
    const { asOf, rows, next } = await this.#context.deps.projections.query(this.#name, this.#query);
    const now = rows.map((row) => JSON.stringify(row));
    const before = this.#sent;
    this.#sent = now;
    this.#asOf = asOf;
    if (!before) {
      this.#stream.send("page", `{"asOf":${asOf},"rows":[${now.join(",")}],"next":${JSON.stringify(next)}}`, asOf);
      return;
    }
    const changed = now.flatMap((row, index) => (row === before[index] ? [] : [`[${index},${row}]`]));
    this.#stream.send(
      "patch",
      `{"asOf":${asOf},"length":${now.length},"rows":[${changed.join(",")}],"next":${JSON.stringify(next)}}`,
      asOf,
    );
  }
}
