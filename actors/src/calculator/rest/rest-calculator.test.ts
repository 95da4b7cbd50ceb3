import {
  type HttpAnswer,
  type HttpClient,
  type HttpRequest,
  httpClientError,
  type Json,
  reportOf,
} from "@millrace/engine";
import { Msgpack } from "@millrace/engine/msgpack";
import { virtualEnv } from "@millrace/engine/testing";
import { expect, test } from "vitest";
import { INLINE_PAYLOADS } from "../calculator-payloads.ts";
import { RestCalculatorHost, type RestCalculatorOptions } from "./rest-calculator-host.ts";

const msgpack = new Msgpack();

type Answering = (request: HttpRequest, n: number) => HttpAnswer | Promise<HttpAnswer>;

/** The service as a function, at the port; time passes as fast as nothing waits. */
function hostOf(answer: Answering, options: Partial<RestCalculatorOptions> = {}) {
  const env = virtualEnv(1);
  const requests: HttpRequest[] = [];
  const client: HttpClient = {
    request: async (request) => answer(request, requests.push(request)),
    close: async () => undefined,
  };
  const host = new RestCalculatorHost(
    { url: "https://svc.example/score?k=1", client, place: { file: "g.yaml", line: 4 }, connections: 1, ...options },
    env,
  );
  const run = async (rows: readonly Json[]) => {
    const running = host.run(rows, { at: 0, graph: "g", node: "n" }, INLINE_PAYLOADS).then(
      (outcomes) => outcomes.map((o) => ("out" in o ? o.out : `${o.error.code} ${o.attempts}`)),
      (error: unknown) => ({ ...reportOf(error), retryAfterMs: (error as { retryAfterMs?: number }).retryAfterMs }),
    );
    let isDone = false;
    void running.then(() => {
      isDone = true;
    });
    while (!isDone) await env.advance(50);
    return running;
  };
  return { host, env, requests, run };
}

const json = (value: unknown, status = 200, headers: Record<string, string> = {}): HttpAnswer => ({
  status,
  headers: { "content-type": "application/json", ...headers },
  body: Buffer.from(JSON.stringify(value)),
});
const rowsOf = ({ body }: HttpRequest) => JSON.parse(Buffer.from(body as Uint8Array).toString()) as { n: number }[];
const ROWS = [1, 2, 3, 4, 5].map((n) => ({ n }));

test("a message goes as it is; nothing, one, several or an error come back", async () => {
  const { run, requests } = hostOf((request) => {
    const { n } = rowsOf(request) as unknown as { n: number };
    if (n === 1) return { status: 204, headers: {}, body: new Uint8Array() };
    return json(n === 2 ? null : n === 3 ? [3, 33] : n === 4 ? { $error: { message: "four" } } : { n });
  });
  expect(await run(ROWS)).toEqual([[], [], [3, 33], "CALC-THREW 1", [{ n: 5 }]]);
  expect(requests[0]).toMatchObject({ method: "POST", headers: { "content-type": "application/json" } });
});

test("batches go as lists, in JSON or MessagePack, and their results keep the order", async () => {
  const sums: Answering = ({ body }) => ({
    status: 200,
    headers: { "content-type": "application/msgpack" },
    body: msgpack.pack((msgpack.unpack(body as Uint8Array) as { n: number }[]).map(({ n }) => n * 2)),
  });
  const { run, requests } = hostOf(sums, { batch: 2, format: "msgpack", connections: 3 });
  expect(await run(ROWS)).toEqual([[2], [4], [6], [8], [10]]);
  expect(requests).toHaveLength(3);
});

test.each([1, 3, 7])("as many requests are under way as there are connections: %i", async (connections) => {
  let [now, most] = [0, 0];
  const answer: Answering = async () => {
    most = Math.max(most, ++now);
    await new Promise(setImmediate);
    now--;
    return json(1);
  };
  const { run, requests } = hostOf(answer, { connections });
  expect(await run([...ROWS, ...ROWS])).toEqual([...ROWS, ...ROWS].map(() => [1]));
  expect([requests.length, most]).toEqual([10, connections]);
});

test("of a batch that is refused, only the message to blame is", async () => {
  const { run } = hostOf(
    (request) => {
      const rows = rowsOf(request);
      return rows.some(({ n }) => n === 3) ? json("no 3", 422) : json(rows);
    },
    { batch: 5 },
  );
  expect(await run(ROWS)).toEqual([[ROWS[0]], [ROWS[1]], "CALC-REFUSED 1", [ROWS[3]], [ROWS[4]]]);
});

test("too many, too few and no results, and rubbish, belong to nobody else's message", async () => {
  const answers: Record<number, (rows: unknown[]) => HttpAnswer> = {
    1: (rows) => json([...rows, 9]),
    2: () => json([]),
    3: () => ({ status: 200, headers: { "content-type": "application/json" }, body: Buffer.from("{]") }),
    4: () => ({ status: 200, headers: { "content-type": "text/html" }, body: Buffer.from("<p>") }),
  };
  const { run } = hostOf(
    (request) => {
      const rows = rowsOf(request);
      const bad = rows.find(({ n }) => n in answers);
      return bad === undefined ? json(rows) : (answers[bad.n]?.(rows) as HttpAnswer);
    },
    { batch: 5 },
  );
  expect(await run(ROWS)).toEqual([...Array(4).fill("CALC-PROTOCOL 1"), [ROWS[4]]]);
});

test("a message is sent again while that may help, and then given up alone", async () => {
  const { run, host } = hostOf((request, n) => {
    const { n: row } = rowsOf(request) as unknown as { n: number };
    if (row === 2) throw httpClientError("HTTP-DEADLINE", "late");
    if (row === 4 && n < 7) return json("oops", 500);
    return json(row);
  });
  expect(await run(ROWS)).toEqual([[1], "CALC-TIMEOUT 3", [3], [4], [5]]);
  expect(host.describe()).toMatchObject({ requests: 8, retries: 3, failures: 4, healthy: true, circuit: "closed" });
});

test("a service that is down gives nobody up; it is left alone and then tried with one request", async () => {
  let isUp = false;
  const { run, env, requests, host } = hostOf(
    () => {
      if (!isUp) throw httpClientError("HTTP-UNREACHABLE", "refused");
      return json(1);
    },
    { connections: 4 },
  );
  expect(await run(ROWS.slice(0, 1))).toMatchObject({
    code: "CALC-UNAVAILABLE",
    kind: "transient",
    place: { line: 4 },
  });
  expect(requests).toHaveLength(3);
  expect(await run(ROWS.slice(0, 1))).toMatchObject({ code: "CALC-UNAVAILABLE" });
  const sent = requests.length;
  expect(host.describe()).toMatchObject({ healthy: false, circuit: "open" });
  expect(await run(ROWS)).toMatchObject({ message: expect.stringContaining("left alone") });
  expect(requests).toHaveLength(sent);
  await env.advance(10_000);
  expect(await run(ROWS)).toMatchObject({ code: "CALC-UNAVAILABLE" });
  expect(requests).toHaveLength(sent + 1);
  await env.advance(10_000);
  isUp = true;
  expect(await run(ROWS)).toEqual([[1], [1], [1], [1], [1]]);
  expect(host.describe()).toMatchObject({ healthy: true, circuit: "closed" });
});

test("messages in a row that fail are the service's fault, and are not given up", async () => {
  const { run } = hostOf(() => json("broken", 500), { attemptsMax: 1 });
  expect(await run(ROWS.slice(0, 4))).toEqual(Array(4).fill("CALC-THREW 1"));
  expect(await run(ROWS)).toMatchObject({ code: "CALC-UNAVAILABLE", message: expect.stringContaining("500") });
});

test("a service that says when to come again is believed", async () => {
  const { run, env, requests } = hostOf((_, n) => (n === 1 ? json("", 429, { "retry-after": "4" }) : json(1)));
  const before = env.clock.monotonic();
  expect(await run([1])).toEqual([[1]]);
  expect(env.clock.monotonic() - before).toBeGreaterThanOrEqual(4000);
  expect(requests).toHaveLength(2);
  const dates = { date: "Mon, 01 Jan 2001 00:00:00 GMT", "retry-after": "Mon, 01 Jan 2001 00:01:00 GMT" };
  const away = hostOf(() => json("", 503, dates));
  const asked = away.env.clock.monotonic();
  expect(await away.run([1])).toMatchObject({ retryAfterMs: 60_000 });
  // The node waits so long, and is seen to; the request does not.
  expect([away.requests.length, away.env.clock.monotonic() - asked < 5000]).toEqual([1, true]);
});

test("credentials go as each kind says, and an answer that repeats them gives nothing away", async () => {
  const kinds = [
    [{ type: "bearer", token: "s3cret" }, "authorization", "Bearer s3cret"],
    [{ type: "basic", user: "u", password: "s3cret" }, "authorization", `Basic ${btoa("u:s3cret")}`],
    [{ type: "api-key", key: "s3cret", header: "X-API-Key" }, "x-api-key", "s3cret"],
  ] as const;
  for (const [auth, header, value] of kinds) {
    const echo: Answering = ({ headers }) => json(`${headers[header]} ${headers["x-token"]}`, 401);
    const { run, requests, host } = hostOf(echo, { auth, headers: { "x-token": "another-s3cret" } });
    const failure = await run([1]);
    expect(failure).toMatchObject({ code: "CALC-CREDENTIALS", kind: "transient" });
    expect(requests.map(({ headers }) => headers[header])).toEqual([value]);
    const shown = JSON.stringify([failure, host.describe()]);
    for (const secret of ["s3cret", value.split(" ").at(-1) as string]) expect(shown).not.toContain(secret);
  }
});

test("tokens are asked for once, kept until they end, and renewed when they are refused", async () => {
  const auth = {
    type: "oauth2",
    tokenUrl: "https://id.example/token",
    clientId: "me:",
    clientSecret: "hidden",
  } as const;
  let good = "t1";
  let tokens = 0;
  const { run, requests, env } = hostOf(
    ({ url, headers }) => {
      if (url === auth.tokenUrl)
        return json({ access_token: good, token_type: "bearer", expires_in: 100, n: tokens++ });
      return headers.authorization === `Bearer ${good}` ? json(1) : json("", 401);
    },
    { auth, connections: 4 },
  );
  expect(await run(ROWS)).toEqual([[1], [1], [1], [1], [1]]);
  expect(tokens).toBe(1);
  expect(requests[0]?.headers.authorization).toBe(`Basic ${btoa("me%3A:hidden")}`);
  good = "t2";
  expect(await run([1])).toEqual([[1]]);
  expect(tokens).toBe(2);
  await env.advance(95_000);
  expect(await run([1])).toEqual([[1]]);
  expect(tokens).toBe(3);
  const refused = hostOf(() => json({ error: "invalid_client" }, 400), { auth });
  expect(await refused.run([1])).toMatchObject({
    code: "CALC-CREDENTIALS",
    message: expect.stringContaining("invalid_client"),
  });
});

test("a service says what it is, if it is asked and there", async () => {
  const { host, requests } = hostOf(() => json({ model: 7 }), { detailsUrl: "https://svc.example/about" });
  await host.open();
  expect(host.describe()).toMatchObject({ isolation: "service", details: { model: 7 } });
  expect(JSON.stringify(host.describe())).not.toContain("k=1");
  expect(requests[0]).toMatchObject({ method: "GET", url: "https://svc.example/about" });
});
