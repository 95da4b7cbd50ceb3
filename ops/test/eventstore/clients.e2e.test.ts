/**
 * Published clients of EventStoreDB and KurrentDB judge the endpoint, unmodified and each in a process of its own: the
 * generated classes of two of them in one process break each other.
 */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { sampleEvent, to } from "@millrace/engine/testing";
import { afterAll, describe, expect, it } from "vitest";
import { goClient } from "../../bin/go-client.mjs";
import { pythonClients } from "../../bin/python-clients.mjs";
import { isFull } from "../faults/form.ts";
import { LOGS, type LogKind, serveLog } from "./served-log.ts";

interface Row {
  readonly feature: string;
  readonly ok: boolean;
  /** Why the client cannot ask for it. */
  readonly absent?: string | null;
  readonly why?: string;
}

interface Judge {
  readonly client: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly skip?: string | undefined;
  /** Features that the judge asks for. */
  readonly features: number;
}

const judges = join(import.meta.dirname, "judges");
const node = (client: string): Judge => ({
  client,
  command: process.execPath,
  args: [join(judges, "node-judge.cjs"), client],
  features: 29,
});
const python = (client: string): Judge => ({
  client,
  command: pythonClients.python,
  args: [join(judges, "python_judge.py"), client],
  skip: process.env.MILLRACE_SKIP_EVENTSTORE_PYTHON,
  features: 25,
});
const JUDGES = [
  node("@eventstore/db-client"),
  node("@kurrent/kurrentdb-client"),
  python("esdbclient"),
  python("kurrentdbclient"),
  {
    client: "KurrentDB-Client-Go",
    command: goClient.judge,
    args: [],
    skip: process.env.MILLRACE_SKIP_EVENTSTORE_GO,
    features: 18,
  },
];

/** What a client cannot ask for is its own affair, but it must be no more than this. */
const ABSENT: Readonly<Record<string, readonly string[]>> = { "@eventstore/db-client": ["read all, filtered"] };

const matrix = new Map<string, Map<string, string>>();

async function judge({ command, args, client }: Judge, kind: LogKind): Promise<readonly Row[]> {
  const served = await serveLog(kind, { isReserved: (stream) => stream.startsWith("late-flights/") });
  try {
    const context = { graph: "late-flights", node: "by-airport" };
    const payload = Buffer.from('{"hello":"graph"}');
    await served.log.append(to("late-flights/by-airport", sampleEvent({ type: "GraphSaid", payload, context })));
    const rows = await lines(command, [...args, served.address]);
    for (const { feature, ok, absent } of rows) {
      const row = matrix.get(feature) ?? new Map<string, string>();
      matrix.set(feature, row.set(`${client} ${kind}`, absent ? "–" : ok ? "ok" : "FAILED"));
    }
    return rows;
  } finally {
    await served.close();
  }
}

function lines(command: string, args: readonly string[]): Promise<readonly Row[]> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: import.meta.dirname,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: 160_000,
    });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (text: Buffer) => {
      stdout += text.toString();
    });
    child.stderr.on("data", (text: Buffer) => {
      stderr += text.toString();
    });
    child.on("error", reject);
    child.on("close", (code) => {
      if (code !== 0) reject(new Error(`the judge ended with ${code}:\n${stdout}${stderr}`));
      else resolve(stdout.split("\n").flatMap((line) => (line.startsWith("{") ? [JSON.parse(line) as Row] : [])));
    });
  });
}

/** The short form asks the log in memory by one client only: the endpoint, and what clients say to it, are the same before both logs. */
const logsOf = ({ client }: Judge): readonly LogKind[] =>
  isFull || client === "@kurrent/kurrentdb-client" ? LOGS : ["embedded"];

describe.each(JUDGES)("$client", (one) => {
  it.skipIf(one.skip !== undefined).each(logsOf(one))(
    "gets everything that it asks of the %s log",
    async (kind) => {
      const rows = await judge(one, kind);
      expect(rows.filter(({ ok }) => !ok).map(({ feature, why }) => `${feature}: ${why}`)).toEqual([]);
      expect(rows.flatMap(({ feature, absent }) => (absent ? [feature] : []))).toEqual(ABSENT[one.client] ?? []);
      expect(rows.length).toBe(one.features);
    },
    180_000,
  );
});

afterAll(() => {
  const columns = JUDGES.flatMap((judge) => logsOf(judge).map((kind) => `${judge.client} ${kind}`));
  const table = Array.from(matrix, ([feature, row]) => [feature, columns.map((column) => row.get(column) ?? "")]);
  const width = Math.max(...table.map(([feature]) => String(feature).length));
  const head = columns.map((column, i) => `  ${i + 1} = ${column}`).join("\n");
  const body = table.map(([feature, cells]) =>
    [String(feature).padEnd(width), ...(cells as string[]).map((cell, i) => `${i + 1} ${cell}`.padEnd(9))].join("  "),
  );
  process.stdout.write(`\nEventStoreDB clients\n${head}\n${body.join("\n")}\n`);
});
