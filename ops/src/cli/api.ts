/**
 * One way to ask for all commands: a running server over HTTP, or the files of a stopped one through the same server in this
 * process without a socket. What the command line shows is therefore what the API answers.
 */
import type { Json, Place } from "@millrace/engine";
import { MillraceError } from "@millrace/engine/worker";
import { opsError } from "../errors.ts";

export interface Api {
  /** @throws CLI-UNREACHABLE, or the error of the server's problem document */
  get(path: string, query?: Query): Promise<Json>;
  post(path: string, body: Json): Promise<Json>;
  close(): Promise<void>;
}

/** A list is one parameter for each of its texts. */
export type Query = Readonly<Record<string, string | number | readonly string[] | undefined>>;

export interface ApiOptions {
  readonly url: string;
  /** Data directory of a stopped server. */
  readonly data?: string;
}

/** The fields of an RFC 9457 problem that become an error here. */
interface ProblemDocument {
  readonly code?: string;
  readonly detail?: string;
  readonly title?: string;
  readonly remedy?: string;
  readonly place?: Place;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

type Send = (method: "GET" | "POST", path: string, body?: string) => Promise<Answer>;

/** Opens the API, calls `use`, and closes it again. */
export async function withApi<T>(options: ApiOptions, use: (api: Api) => Promise<T>): Promise<T> {
  const api = options.data === undefined ? overHttp(options.url) : await inProcess(options.data);
  try {
    return await use(api);
  } finally {
    await api.close();
  }
}

function overHttp(url: string): Api {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw opsError("CLI-USAGE", `\`${url}\` is no address of a server, such as http://127.0.0.1:8080`);
  const token = process.env.MILLRACE_TOKEN;
  const headers = {
    ...(token === undefined || token === "" ? {} : { authorization: `Bearer ${token}` }),
  };
  const send: Send = async (method, path, body) => {
    try {
      const init = { method, headers: { ...headers, ...contentType(body) }, ...(body === undefined ? {} : { body }) };
      const response = await fetch(new URL(path, url), init);
      return { status: response.status, text: await response.text() };
    } catch (cause) {
      const what = hasTimedOut(cause) ? `the server at ${url} took too long to answer` : `no server answers at ${url}`;
      throw opsError("CLI-UNREACHABLE", what, { cause });
    }
  };
  return apiOf(send, () => Promise.resolve());
}

/** `fetch` waits five minutes for the head of an answer, and as long for more of its body. */
function hasTimedOut(failure: unknown): boolean {
  const { code } = ((failure as Error).cause ?? {}) as { readonly code?: string };
  return code === "UND_ERR_HEADERS_TIMEOUT" || code === "UND_ERR_BODY_TIMEOUT";
}

async function inProcess(data: string): Promise<Api> {
  const { openStopped } = await import("./stopped-server.ts");
  const { app, close } = await openStopped(data);
  const send: Send = async (method, path, body) => {
    const response = await app.inject({
      method,
      url: path,
      headers: contentType(body),
      ...(body === undefined ? {} : { payload: body }),
    });
    return { status: response.statusCode, text: response.body };
  };
  return apiOf(send, close);
}

const contentType = (body: string | undefined): Record<string, string> =>
  body === undefined ? {} : { "content-type": "application/json" };

function apiOf(send: Send, close: () => Promise<void>): Api {
  return {
    get: async (path, query = {}) => jsonOf(await send("GET", `${path}${queryText(query)}`)),
    post: async (path, body) => jsonOf(await send("POST", path, JSON.stringify(body))),
    close,
  };
}

function queryText(query: Query): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    for (const one of typeof value === "object" ? value : [value])
      if (one !== undefined) params.append(name, String(one));
  const text = params.toString();
  return text === "" ? "" : `?${text}`;
}

function jsonOf({ status, text }: Answer): Json {
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch (cause) {
    throw opsError("CLI-UNREACHABLE", `the server answered ${status} with something that is not JSON`, { cause });
  }
  if (status < 400) return value;
  const { code = "CLI-REFUSED", detail, title, remedy, place } = value as unknown as ProblemDocument;
  throw new MillraceError(
    code,
    status >= 500 ? "terminal" : "rejected",
    detail ?? title ?? `the server answered ${status}`,
    { ...(place === undefined ? {} : { place }), ...(remedy === undefined ? {} : { details: { remedy } }) },
  );
}
