import type { EventDocument } from "@millrace/gateway";
import { type Api, type ApiOptions, type Query, withApi } from "../api.ts";
import { refuseUnknown } from "../known-names.ts";
import { counted, timeText, writeJson, writeLine, writeTable } from "../output.ts";
import { inert } from "../terminal-text.ts";

export interface EventsOptions extends ApiOptions {
  readonly graph?: string;
  readonly node?: string;
  readonly stream?: string;
  readonly type?: string;
  readonly category?: string;
  readonly correlation?: string;
  readonly tag?: readonly string[];
  readonly from?: number;
  readonly forward?: boolean;
  readonly limit: number;
  readonly json?: boolean;
}

export async function listEvents(options: EventsOptions): Promise<void> {
  const { graph, node, stream, type, category, correlation, tag, from, limit, forward = false, json = false } = options;
  await withApi(options, async (api) => {
    const direction = forward ? "forward" : "backward";
    const payload = json ? "full" : "none";
    const query = { graph, node, stream, type, category, correlation, tag, from, direction, payload };
    const answer = await foundEvents(api, query, limit);
    const { events, end, next } = answer;
    if (events.length === 0) await refuseUnknown(api, { stream, graph, node, type, category, tag, correlation });
    if (json) return writeJson(answer);
    const rows = events.map((e) => [
      e.position,
      timeText(e.timeMs),
      e.stream,
      e.revision,
      e.type,
      e.payloadBytes,
      e.principal,
    ]);
    writeTable(["position", "time", "stream", "revision", "type", "bytes", "principal"], rows);
    const more = next === null ? "" : "; there may be more (--limit, --from)";
    writeLine(`${counted(events.length, "event")} as of position ${end}${more}`);
  });
}

interface Page {
  readonly end: number;
  readonly events: readonly EventDocument[];
  /** Cursor of the next page; a page may have one though nothing is there any more. */
  readonly next: string | null;
}

/** A page ends where its payloads are large enough, though fewer events are on it than were asked for: then the next one is asked for. */
async function foundEvents(api: Api, query: Query, limit: number): Promise<Page> {
  const events: EventDocument[] = [];
  for (let cursor: string | undefined; ; ) {
    const page = (await api.get("/api/v1/events", {
      ...query,
      limit: limit - events.length,
      cursor,
    })) as unknown as Page;
    events.push(...page.events);
    if (page.next === null || events.length >= limit) return { ...page, events };
    cursor = page.next;
  }
}

/** An event of a schema version that the server does not know is refused with EVENT-SCHEMA. */
export async function showEvent(position: number, options: ApiOptions & { readonly json?: boolean }): Promise<void> {
  await withApi(options, async (api) => {
    const answer = await api.get(`/api/v1/events/${position}`);
    if (options.json === true) return writeJson(answer);
    const { payload, timeMs, ...fields } = answer as unknown as EventDocument;
    writeLine(`${"time".padEnd(FIELD_WIDTH)}${timeText(timeMs)}`);
    for (const [field, value] of Object.entries(fields)) writeLine(inert(`${field.padEnd(FIELD_WIDTH)}${value}`));
    writeLine(`payload\n${inert(JSON.stringify(payload, null, 2))}`);
  });
}

const FIELD_WIDTH = 15;
