import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exportEvents, prove, proveConsistency, verify } from "../../src/cli/command/audit.ts";
import { lastJson, millrace } from "../millrace.ts";
import { addEvents } from "./audited-data.ts";

const EVENTS = 300;

let directory: string;
let data: string;
let key: string;
let bundle: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "millrace-audit-"));
  data = join(directory, "data");
  bundle = join(directory, "bundle");
  await addEvents(data, EVENTS);
  key = (await ask("key")).stdout.trim();
  await ask("export", "--from", "100", "--to", "180", "--out", bundle);
}, 60_000);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function ask(...args: readonly string[]): ReturnType<typeof millrace> {
  const finished = await millrace(["audit", ...args, "--data", data]);
  expect(finished).toMatchObject({ code: 0, stderr: "" });
  return finished;
}

const tree = (at = data): string => join(at, "audit", readdirSync(join(at, "audit"))[0] ?? "");

/** A copy of the data directory in which `change` has been done to a file. */
function changed(name: string, path: (at: string) => string, change: (bytes: Buffer) => void): string {
  const copy = join(directory, name);
  cpSync(data, copy, { recursive: true });
  const bytes = readFileSync(path(copy));
  change(bytes);
  writeFileSync(path(copy), bytes);
  return copy;
}

describe("a signing key", () => {
  it("is readable by its owner only, and said nowhere", async () => {
    const path = join(tree(), "signing-key.pem");
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readFileSync(path, "utf8")).toContain("PRIVATE KEY");
    const secret = readFileSync(path, "utf8").split("\n")[1] ?? "?";
    expect((await ask("key", "--json")).stdout).not.toContain(secret);
    for (const name of readdirSync(bundle)) expect(readFileSync(join(bundle, name), "latin1")).not.toContain(secret);
  });
});

describe("audit verify", () => {
  it("accepts what is whole, by the key that was told and with a checkpoint that was kept", async () => {
    const { stdout } = await ask("verify", "--json", "--key", key);
    const origin = key.split("+")[0];
    expect(lastJson(stdout)).toMatchObject({ ok: true, key, verified: EVENTS, checkpoint: { origin, size: EVENTS } });
    const kept = join(directory, "kept");
    writeFileSync(kept, (await ask("checkpoint")).stdout.replaceAll("\n", "\r\n").trimEnd());
    expect((await ask("verify", "--since", kept)).stdout).toMatch(
      /^ok: 300 of 300 signed records are what was signed\n/,
    );
  });

  it("says of no record that it is altered when only the kept checkpoint is none of this log's", async () => {
    const strange = join(directory, "strange");
    writeFileSync(strange, "no checkpoint\n");
    const since = (): ReturnType<typeof millrace> => millrace(["audit", "verify", "--data", data, "--since", strange]);
    expect(await since()).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("strange holds no checkpoint"),
    });
    const { stdout: own } = await ask("checkpoint");
    // With line ends as mail makes them; the size is not the one that was signed.
    writeFileSync(strange, own.replace("\n300\n", "\n299\n").replaceAll("\n", "\r\n"));
    const { code, stdout } = await since();
    expect(code).toBe(1);
    expect(stdout).toMatch(/^AUDIT-CHECKPOINT the older checkpoint .*\nnot ok\nroot /);
  });

  it("names the first position that is bad, and ends with 1", async () => {
    const segment = (at: string): string => join(at, "log", "0000000001.seg");
    const at = readFileSync(segment(data)).indexOf('{"left":230}');
    expect(at).toBeGreaterThan(0);
    const copy = changed("flipped", segment, (bytes) => bytes.write("X", at));
    const { code, stdout } = await millrace(["audit", "verify", "--data", copy]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^position 70: LOG-CORRUPT .*0000000001\.seg\)\nnot ok: /);
  });

  it("names a damaged tile, and ends with 1", async () => {
    const copy = changed(
      "tile",
      (root) => join(tree(root), "level-0"),
      (bytes) => bytes.fill(0, 320, 321),
    );
    const { code, stdout } = await millrace(["audit", "verify", "--json", "--data", copy]);
    expect(code).toBe(1);
    expect(lastJson(stdout)).toMatchObject({ ok: false, findings: [{ code: "AUDIT-TILE", position: 10 }] });
  });

  it("believes no other key", async () => {
    await addEvents(join(directory, "other"), 1);
    const other = (await millrace(["audit", "key", "--data", join(directory, "other")])).stdout.trim();
    const { code, stdout } = await millrace(["audit", "verify", "--key", other, "--data", data]);
    expect(code).toBe(1);
    expect(stdout).toContain("AUDIT-CHECKPOINT the checkpoint is not signed by");
  });

  it("changes nothing in the directory", async () => {
    const state = (): unknown =>
      readdirSync(data, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => [entry.name, statSync(join(entry.parentPath, entry.name)).mtimeMs]);
    const before = state();
    await ask("verify");
    expect(state()).toEqual(before);
  });
});

describe("audit tiles", () => {
  const tiles = async (from: string, out: string): Promise<string> =>
    (await millrace(["audit", "tiles", "--data", from, "--out", out])).stdout;
  const filesIn = (out: string): readonly string[] =>
    (readdirSync(out, { recursive: true }) as string[]).filter((name) => statSync(join(out, name)).isFile()).sort();

  it("writes what a web server can serve, and the next time what is new", async () => {
    const grown = join(directory, "grown");
    const out = join(directory, "public");
    await addEvents(grown, 300);
    expect(await tiles(grown, out)).toBe(`300 records: 3 tiles in ${out}, 3 of them new\n`);
    const names = ["checkpoint", "tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1", "verifier-key"];
    expect(filesIn(out)).toEqual(names);
    expect(await tiles(grown, out)).toBe(`300 records: 3 tiles in ${out}, 0 of them new\n`);
    writeFileSync(join(out, "tile/0/000"), "cut");
    await addEvents(grown, 220);
    expect(await tiles(grown, out)).toBe(`520 records: 4 tiles in ${out}, 4 of them new\n`);
    expect(filesIn(out)).toEqual([
      "checkpoint",
      "tile/0/000",
      "tile/0/001",
      "tile/0/002.p/8",
      "tile/1/000.p/1",
      "tile/1/000.p/2",
      "verifier-key",
    ]);
    expect(statSync(join(out, "tile/0/000")).size).toBe(8192);
    const { stdout } = await millrace(["audit", "checkpoint", "--data", grown]);
    expect(readFileSync(join(out, "checkpoint"), "utf8")).toBe(stdout);
  }, 60_000);

  it("writes the verifier key anew as a whole: half of one would be another log's to the next", async () => {
    const out = join(directory, "key");
    await tiles(data, out);
    linkSync(join(out, "verifier-key"), join(directory, "linked-key"));
    await tiles(data, out);
    expect(statSync(join(directory, "linked-key")).nlink).toBe(1);
  });

  it("mixes no two logs", async () => {
    const out = join(directory, "mixed");
    await tiles(data, out);
    const before = filesIn(out).map((name) => readFileSync(join(out, name), "hex"));
    const another = join(directory, "another");
    await addEvents(another, 1);
    const { code, stderr } = await millrace(["audit", "tiles", "--data", another, "--out", out]);
    expect(code).toBe(2);
    expect(stderr).toContain("holds the files of another log");
    expect(filesIn(out).map((name) => readFileSync(join(out, name), "hex"))).toEqual(before);
  }, 60_000);
});

describe("audit commands", () => {
  const nothing = { data: join(tmpdir(), "millrace-nothing-here") };

  it.each<[what: string, refused: () => Promise<void>, code: string]>([
    ["a directory that holds nothing", () => verify(nothing), "HOST-EMPTY"],
    ["a key that is none", () => verify({ data, key: "abc" }), "CLI-USAGE"],
    ["a checkpoint that is not there", () => verify({ data, since: nothing.data }), "CLI-USAGE"],
    ["a position that is not signed", () => prove(EVENTS, { data }), "AUDIT-RANGE"],
    ["a size that is not signed", () => proveConsistency(EVENTS + 1, { data }), "AUDIT-RANGE"],
    ["a range that is not signed", () => exportEvents({ data, to: EVENTS + 1, out: nothing.data }), "CLI-USAGE"],
    ["an empty range", () => exportEvents({ data, from: 5, to: 5, out: nothing.data }), "CLI-USAGE"],
    ["a folder that holds something", () => exportEvents({ data, out: bundle }), "CLI-USAGE"],
  ])("refuse %s", async (_what, refused, code) => {
    await expect(refused()).rejects.toMatchObject({ code, kind: "rejected" });
    expect(existsSync(nothing.data)).toBe(false);
  });

  it("end with 2 when they refuse", async () => {
    const { code, stderr } = await millrace(["audit", "prove", String(EVENTS), "--data", data]);
    expect(code).toBe(2);
    expect(stderr).toContain("AUDIT-RANGE");
  });
});

describe("an export that fails", () => {
  let damaged: string;
  beforeAll(() => {
    damaged = changed(
      "damaged",
      (at) => join(at, "log", "0000000001.seg"),
      (bytes) => bytes.write("X", bytes.indexOf('{"left":20}')),
    );
  });

  it("removes what it made, folders above it too, so that the next one can be made there", async () => {
    const out = join(directory, "new", "folder");
    await expect(exportEvents({ data: damaged, out })).rejects.toThrow();
    expect(existsSync(join(directory, "new"))).toBe(false);
    await ask("export", "--out", out);
    expect(existsSync(join(out, "manifest.json"))).toBe(true);
  });

  it("says what of the system stood in the way", async () => {
    const out = join(directory, "a-file");
    writeFileSync(out, "");
    await expect(exportEvents({ data, out })).rejects.toMatchObject({
      code: "CLI-USAGE",
      message: expect.stringMatching(/a-file is not written: ENOTDIR/),
    });
    expect(statSync(out).isFile()).toBe(true);
  });

  it("leaves an empty folder that was there", async () => {
    const out = join(directory, "empty");
    mkdirSync(out);
    await expect(exportEvents({ data: damaged, out })).rejects.toThrow();
    expect(readdirSync(out)).toEqual([]);
  });

  it("because it was killed is told from a folder with other things in it, and what to do is said", async () => {
    const out = join(directory, "killed");
    mkdirSync(out);
    for (const name of ["checkpoint", "events.jsonl"]) writeFileSync(join(out, name), "");
    await expect(exportEvents({ data, out })).rejects.toMatchObject({
      code: "CLI-USAGE",
      message: `${out} holds an export that did not end; if none is running there, remove the folder and export again`,
    });
    expect(readdirSync(out)).toEqual(["checkpoint", "events.jsonl"]);
    await expect(exportEvents({ data, out: bundle })).rejects.toThrow(/is there and not empty$/);
  });
});

describe("a bundle", () => {
  const check = (
    at: string,
    ...args: readonly string[]
  ): ReturnType<typeof spawnSync> & { stdout: string; stderr: string } =>
    spawnSync(process.execPath, [join(at, "verify.mjs"), ...args], { cwd: tmpdir(), encoding: "utf8", env: {} });

  /** A copy whose manifest has been made to fit again after `change`: what somebody would do who wants it believed. */
  function forged(file: string, change: (text: string) => string): string {
    const copy = join(directory, "forged");
    rmSync(copy, { recursive: true, force: true });
    cpSync(bundle, copy, { recursive: true });
    const before = readFileSync(join(copy, file), "utf8");
    const after = change(before);
    expect(after).not.toBe(before);
    writeFileSync(join(copy, file), after);
    const hash = (path: string): string => createHash("sha256").update(readFileSync(path)).digest("hex");
    const manifest = readFileSync(join(copy, "manifest.json"), "utf8");
    if (file !== "manifest.json")
      writeFileSync(join(copy, "manifest.json"), manifest.replace(hash(join(bundle, file)), hash(join(copy, file))));
    return copy;
  }

  it("proves itself with nothing but Node", () => {
    const { status, stdout, stderr } = check(bundle, "--key", key);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(/^verified: 80 events, positions 100 to 179, of millrace\/log\//);
    expect(readFileSync(join(bundle, "verify.mjs"), "utf8").split("\n").length).toBeLessThanOrEqual(201);
    const imports = [...readFileSync(join(bundle, "verify.mjs"), "utf8").matchAll(/from "([^"]+)"/g)];
    expect(imports.every(([, from]) => from?.startsWith("node:"))).toBe(true);
  });

  it("says so when it brings its own key", () => {
    expect(check(bundle).stdout).toContain("give the one you were told with --key");
  });

  const line =
    (n: number, change: (text: string) => string): ((text: string) => string) =>
    (text) =>
      text
        .split("\n")
        .map((one, i) => (i === n ? change(one) : one))
        .join("\n");

  it.each<[what: string, file: string, change: (text: string) => string, why: RegExp]>([
    [
      "a field",
      "events.jsonl",
      line(5, (t) => t.replace('"principal":"system"', '"principal":"eve"')),
      /position 105 says principal eve/,
    ],
    ["a time", "events.jsonl", line(5, (t) => t.replace(/"time":"20/, '"time":"19')), /position 105 says time/],
    [
      "a stream",
      "events.jsonl",
      line(5, (t) => t.replace(/"stream":"counts-\d/, '"stream":"counts-9')),
      /position 105 says stream/,
    ],
    [
      "a field that is added",
      "events.jsonl",
      line(5, (t) => t.replace('{"position"', '{"amount":5,"position"')),
      /has a field amount/,
    ],
    [
      "a payload",
      "events.jsonl",
      line(7, (t) => t.replace(/"payload":"eyJ/, '"payload":"eyK')),
      /position 107 is not the one that was signed/,
    ],
    ["an event that is left out", "events.jsonl", (t) => t.split("\n").slice(1).join("\n"), /position 100 is missing/],
    [
      "the last event left out",
      "events.jsonl",
      (t) => `${t.trimEnd().split("\n").slice(0, -1).join("\n")}\n`,
      /position 179 is missing/,
    ],
    [
      "two events that change places",
      "events.jsonl",
      (t) => t.replace(/^(.*)\n(.*)\n/, "$2\n$1\n"),
      /position 100 is missing/,
    ],
    ["a proof", "proofs.jsonl", line(3, (t) => t.replace('"hashes":["', '"hashes":["AAAA')), /position 103/],
    [
      "a proof that is left out",
      "proofs.jsonl",
      line(0, () => '{"position":99}'),
      /the proof of position 100 is missing/,
    ],
    [
      "a name",
      "names.jsonl",
      line(0, (t) => t.replace(/"payload":"(.)/, '"payload":"B')),
      /is not the one that was signed/,
    ],
    ["names that are left out", "names.jsonl", () => "", /position 100 says stream/],
    ["the size", "checkpoint", (t) => t.replace("\n300\n", "\n301\n"), /signature is wrong/],
    ["the range", "manifest.json", (t) => t.replace('"to": 180', '"to": 181'), /position 180 is missing/],
  ])("is refused with another %s, though its manifest fits", (_what, file, change, why) => {
    const { status, stderr } = check(forged(file, change), "--key", key);
    expect(stderr).toMatch(why);
    expect(status).toBe(1);
  });

  it("is refused by another key, and without one of its files", () => {
    const other = `${key.slice(0, -2)}${key.endsWith("AA") ? "BB" : "AA"}`;
    expect(check(bundle, "--key", other)).toMatchObject({ status: 1 });
    const copy = forged("manifest.json", (text) => `${text} `);
    rmSync(join(copy, "events.parquet"));
    expect(check(copy, "--key", key).stderr).toBe("refused: events.parquet is missing\n");
  });

  it("can be read with SQL", async () => {
    const connection = await (await DuckDBInstance.create(":memory:")).connect();
    const answer = await connection.runAndReadAll(
      `SELECT count(*)::INT AS n, min(position)::INT AS first, count(DISTINCT stream)::INT AS streams, max(data) AS data
       FROM '${join(bundle, "events.parquet")}' WHERE type LIKE 'Counted%' AND time > TIMESTAMP '2020-01-01'`,
    );
    expect(answer.getRowObjectsJson()).toMatchObject([{ n: 80, first: 100, data: expect.stringContaining('"hex"') }]);
    connection.closeSync();
  });
});
