import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "@photostructure/sqlite";
import { afterEach, beforeEach, expect, test } from "vitest";
import { SqliteFile } from "./sqlite-file.ts";

const FULL = 2n;
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "millrace-sqlite-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

test.each(["delete", "wal"])("what is committed outlives a power cut with the journal `%s`", (journal) => {
  const path = join(dir, "a.db");
  const made = new DatabaseSync(path);
  made.exec(`pragma journal_mode = ${journal}; create table t (x)`);
  made.close();
  const file = new SqliteFile(path, false);
  file.run("insert into t values (1)", [[]]);
  expect(file.run("pragma synchronous", [[]])).toEqual([{ synchronous: FULL }]);
  file.close();
});

test("who only reads cannot write", () => {
  const path = join(dir, "a.db");
  const made = new DatabaseSync(path);
  made.exec("create table t (x)");
  made.close();
  const file = new SqliteFile(path, true);
  expect(() => file.run("insert into t values (1)", [[]])).toThrow(/readonly/);
  file.close();
});
