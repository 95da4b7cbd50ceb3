import type { DeadLetter } from "@millrace/engine";
import { opsError } from "../../errors.ts";
import { type Api, type ApiOptions, type Query, withApi } from "../api.ts";
import { placeText } from "../failure.ts";
import { refuse, refuseUnknown } from "../known-names.ts";
import { counted, timeText, writeJson, writeLine, writeTable } from "../output.ts";
import { inert } from "../terminal-text.ts";

export interface ListOptions extends ApiOptions {
  readonly graph?: string;
  readonly node?: string;
  readonly code?: string;
  readonly state?: string;
  readonly limit: number;
  readonly json?: boolean;
}

export async function listDeadLetters(options: ListOptions): Promise<void> {
  const { graph, node, code, state, limit, json = false } = options;
  await withApi(options, async (api) => {
    const answer = await foundLetters(api, { graph, node, code, state }, limit);
    const { rows, next } = answer;
    if (rows.length === 0) await refuseUnknown(api, { graph, node });
    if (rows.length === 0 && code !== undefined) await refuseUnknownCode(api, code);
    if (json) return writeJson(answer);
    writeTable(
      ["id", "time", "graph", "node", "code", "state", "message"],
      rows.map((d) => [d.id, timeText(d.timeMs), d.graph, d.node, d.error.code, d.state, d.error.message]),
    );
    writeLine(
      `${counted(rows.length, "dead letter")}${next === null ? "" : "; there are more (--limit, --code, --node)"}`,
    );
  });
}

/** Codes are Millrace's own, or a calculator's; of these the server has counted those that there were. @throws CLI-UNKNOWN */
async function refuseUnknownCode(api: Api, code: string): Promise<void> {
  const { errorCodes } = await import("@millrace/engine");
  // What actors say of a message is in their own catalogue.
  await import("@millrace/actors");
  const known = new Set(errorCodes());
  let cursor: string | undefined;
  do {
    const page = await api.get("/api/v1/projections/dead-letter-counts", { limit: 1000, cursor });
    const { rows, next } = page as unknown as Counts;
    for (const row of rows) known.add(row.code);
    cursor = next ?? undefined;
  } while (cursor !== undefined);
  await refuse("there is no dead letter with code", code, known);
}

interface Counts {
  readonly rows: readonly { readonly code: string }[];
  readonly next: string | null;
}

/** Most that the server lists or sends again at once. */
const AT_ONCE = 500;

interface Page {
  readonly asOf: number;
  readonly rows: readonly DeadLetter[];
  readonly next: string | null;
}

async function foundLetters(api: Api, query: Query, limit: number): Promise<Page> {
  const found: DeadLetter[] = [];
  for (let cursor: string | undefined; ; ) {
    const most = Math.min(AT_ONCE, limit - found.length);
    const answer = await api.get("/api/v1/dlq", { ...query, limit: most, cursor });
    const { asOf, rows, next } = answer as unknown as Page;
    found.push(...rows);
    if (next === null || found.length >= limit) return { asOf, rows: found, next };
    cursor = next;
  }
}

const ID = /^[0-9a-f]{32}$/;

function pathOf(id: string): string {
  if (!ID.test(id))
    throw opsError("CLI-USAGE", `${id} is no id of a dead letter: 32 hex digits, as \`dlq ls\` shows them`);
  return `/api/v1/dlq/${id}`;
}

export async function showDeadLetter(id: string, options: ApiOptions & { readonly json?: boolean }): Promise<void> {
  await withApi(options, async (api) => {
    const answer = await api.get(pathOf(id));
    if (options.json === true) return writeJson(answer);
    const letter = answer as unknown as DeadLetter;
    writeLine(`${letter.id}  ${letter.state}  ${timeText(letter.timeMs)}`);
    writeLine(
      inert(
        `graph ${letter.graph}, node ${letter.node}, lane ${letter.lane}, at (${letter.pos}, ${letter.ord}), log position ${letter.position}`,
      ),
    );
    writeLine(
      `${inert(placeText(letter.error))}${letter.error.code} ${inert(letter.error.message)} (${counted(letter.attempts, "attempt")})`,
    );
    for (const cause of letter.error.causes ?? []) writeLine(`  because: ${inert(cause)}`);
    writeLine(inert(JSON.stringify(letter.input, null, 2)));
  });
}

export async function redriveDeadLetters(
  ids: readonly string[],
  { url, reason, json = false }: { readonly url: string; readonly reason: string; readonly json?: boolean },
): Promise<void> {
  await withApi({ url }, async (api) => {
    const byGraph = new Map<string, string[]>();
    const distinct = [...new Set(ids)];
    for (const id of distinct) {
      const { graph } = (await api.get(pathOf(id))) as unknown as DeadLetter;
      byGraph.set(graph, [...(byGraph.get(graph) ?? []), id]);
    }
    let redriven = 0;
    for (const [graph, own] of byGraph)
      for (let at = 0; at < own.length; at += AT_ONCE) {
        const body = { graph, ids: own.slice(at, at + AT_ONCE), reason };
        const answer = (await api.post("/api/v1/dlq/redrive", body)) as { readonly redriven: number };
        redriven += answer.redriven;
      }
    if (json) writeJson({ redriven });
    else
      writeLine(
        `${redriven} of ${distinct.length} sent again${redriven < distinct.length ? "; the others had been before" : ""}`,
      );
  });
}
