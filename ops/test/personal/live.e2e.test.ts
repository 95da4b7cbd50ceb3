/** Personal values that are pushed to a live server: sealed in its log, readable in its answers until their subject is erased. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openSession, type Session } from "../../src/cli/session.ts";
import { bytesBelow } from "../file-bytes.ts";
import { lastJson, millrace } from "../millrace.ts";

const GRAPH = `
name: sign-ups
nodes:
  in:    { kind: source, from: "http:/in", personal: { subject: customer, fields: [email] } }
  table: { kind: sink, input: in, to: "projection:customers", key: [customer] }
`;
const ANN = { customer: "ann", email: "plain-ann@example.org" };
const BOB = { customer: "bob", email: "plain-bob@example.org" };
const PEEK = `/api/v1/live?peek=${encodeURIComponent("sign-ups/in -> table")}`;
const TABLE = "/api/v1/projections/customers";

let directory: string;
let data: string;
let session: Session;

const at = (path: string): URL => new URL(path, session.url);

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "millrace-live-personal-"));
  data = join(directory, "data");
  writeFileSync(join(directory, "graph.yaml"), GRAPH);
});
beforeEach(async () => {
  session = await openSession({ files: [join(directory, "graph.yaml")], data, port: 0, untilDone: false });
});
afterEach(() => session.close("the test is over"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function push(...messages: readonly object[]): Promise<void> {
  const headers = { "content-type": "application/json" };
  const url = at("/api/v1/graphs/sign-ups/push/in");
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(messages) });
  expect({ status: answer.status, text: await answer.text() }).toMatchObject({ status: 200 });
}

async function rows(): Promise<unknown> {
  const answer = (await (await fetch(at(TABLE))).json()) as { rows: unknown };
  return answer.rows;
}

/** The first server-sent event of this kind. */
async function told(path: string, kind: string): Promise<unknown> {
  const abort = new AbortController();
  const { body } = await fetch(at(path), { signal: abort.signal });
  let text = "";
  for await (const part of body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += part;
    const event = text
      .split("\n\n")
      .slice(0, -1)
      .find((candidate) => candidate.includes(`event: ${kind}\n`));
    if (event === undefined) continue;
    abort.abort();
    return JSON.parse(/^data: (.*)$/m.exec(event)?.[1] ?? "");
  }
  throw new Error(`the stream ended without ${kind}: ${text}`);
}

describe("a live server with personal fields", () => {
  it("seals what is pushed and reveals it in REST and server-sent events", async () => {
    await push(ANN, BOB);
    await expect.poll(rows).toEqual([ANN, BOB]);
    expect(await told(`${TABLE}/live`, "page")).toMatchObject({ rows: [ANN, BOB] });
    expect(await told(PEEK, "peek")).toMatchObject({
      messages: expect.arrayContaining([expect.objectContaining({ value: ANN })]),
    });
    const bytes = bytesBelow(data);
    expect(bytes.includes("ann")).toBe(true);
    expect(bytes.includes("$sealed")).toBe(true);
    expect(bytes.includes("plain-")).toBe(false);
  });

  it("takes no message that does not say whose it is", async () => {
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify([BOB, { email: "plain-nobody@example.org" }]);
    const answer = await fetch(at("/api/v1/graphs/sign-ups/push/in"), { method: "POST", headers, body });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(await answer.json()).toMatchObject({ code: "PERSONAL-SUBJECT" });
    expect(bytesBelow(data).includes("plain-")).toBe(false);
  });

  it("shows a subject as erased that was named on stdin, in REST and server-sent events, and what comes for it later too", async () => {
    await session.close("to erase");
    const erased = await millrace(["erase", "-", "--yes", "--data", data, "--json"], { input: "ann\n" });
    expect(erased).toMatchObject({ code: 0, stderr: "" });
    const { key } = lastJson(erased.stdout) as { key: string };
    session = await openSession({ files: [join(directory, "graph.yaml")], data, port: 0, untilDone: false });
    const gone = { customer: "ann", email: { $erased: key } };
    await expect.poll(rows).toEqual([gone, BOB]);
    expect(await told(`${TABLE}/live`, "page")).toMatchObject({ rows: [gone, BOB] });
    await push(ANN);
    expect(await told(PEEK, "peek")).toMatchObject({
      messages: [expect.objectContaining({ value: gone })],
    });
    await expect.poll(rows).toEqual([gone, BOB]);
  });
});
