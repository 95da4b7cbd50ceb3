import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MadeFiles } from "./made-files.ts";

describe("files that are taken back", () => {
  let root: string;
  let made: MadeFiles;
  const file = (path: string): void => closeSync(made.file(join(root, path)));

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "millrace-made-"));
    made = new MadeFiles();
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  it("go with the folders that were made for them", () => {
    made.folder(join(root, "a/b/c"));
    for (const path of ["a/x", "a/b/c/y", "z"]) file(path);
    made.takeBack();
    expect(readdirSync(root)).toEqual([]);
  });

  it("leave folders that were there, and those that somebody else has put something into", () => {
    mkdirSync(join(root, "there"));
    made.folder(join(root, "there/made"));
    made.folder(join(root, "other/made"));
    file("there/made/x");
    writeFileSync(join(root, "other/made/theirs"), "text");
    made.takeBack();
    expect([readdirSync(join(root, "there")), readdirSync(join(root, "other/made"))]).toEqual([[], ["theirs"]]);
  });

  it("are no files that were there", () => {
    writeFileSync(join(root, "theirs"), "text");
    expect(() => file("theirs")).toThrow("EEXIST");
    made.takeBack();
    expect(readFileSync(join(root, "theirs"), "utf8")).toBe("text");
  });

  it("are folders too when those below them could not be made", () => {
    expect(() => made.folder(join(root, "a/b", "c".repeat(300)))).toThrow();
    made.takeBack();
    expect(existsSync(join(root, "a"))).toBe(false);
  });
});
