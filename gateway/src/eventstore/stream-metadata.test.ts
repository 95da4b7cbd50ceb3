import { describe, expect, it } from "vitest";
import { deletedMetadata, firstVisible, isSoftDeleted, parseMetadata, revivedMetadata } from "./stream-metadata.ts";

describe("metadata of a stream", () => {
  it("is none when it is no JSON object", () => {
    for (const json of ["", "x", "[]", "null", "7", '{"$maxCount":"3","$tb":-1,"$maxAge":null}'])
      expect(firstVisible(parseMetadata(json), 9)).toBe(0);
  });

  it("hides what is below $tb and beyond $maxCount", () => {
    expect(firstVisible(parseMetadata('{"$maxCount":3}'), 9)).toBe(7);
    expect(firstVisible(parseMetadata('{"$maxCount":3,"$tb":8}'), 9)).toBe(8);
    expect(firstVisible(parseMetadata('{"$maxCount":30}'), 9)).toBe(0);
  });

  it("keeps its other fields through deletion and a new life", () => {
    const before = parseMetadata('{"owner":"me","$maxCount":3,"$tb":1}');
    const json = deletedMetadata(before);
    expect(json).toContain('"$tb":9223372036854775807');
    const deleted = parseMetadata(json);
    expect(isSoftDeleted(deleted)).toBe(true);
    expect(JSON.parse(revivedMetadata(deleted, 10))).toEqual({ owner: "me", $maxCount: 3, $tb: 10 });
    expect(isSoftDeleted(parseMetadata(deletedMetadata(parseMetadata("{}"))))).toBe(true);
  });
});
