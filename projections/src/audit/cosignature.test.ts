import { describe, expect, it } from "vitest";
import { cosignedAtS, linesOf, parseWitnessKey, type WitnessKey } from "./cosignature.ts";
import { formatVerifierKey, parseVerifierKey } from "./signed-note.ts";

/** Made by the signer of torchwood, the library of litewitness. */
const KEY = "witness.example/w1+e42b2f2c+BDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
const LINE =
  "\u2014 witness.example/w1 5CsvLAAAAABrCY/sk1CGivniLJxb12SSjZTlfEYBkXU2ZNOmrE7YGvjzWhLB60qU/uMaUe7jRibtgZKPGgP5eIF3oDJ2mSxMlODcAg==\n";
const TEXT = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
const NOTE = `${TEXT}\n${LINE}`;

function witness(text: string): WitnessKey {
  const key = parseWitnessKey(text);
  if (key === undefined) throw new Error(`no key of a witness: ${text}`);
  return key;
}

describe("cosignatures", () => {
  it("by another implementation say when they were made", () => {
    expect(cosignedAtS(NOTE, witness(KEY))).toBe(0x6b098fec);
    expect(formatVerifierKey(witness(KEY))).toBe(KEY);
  });

  it("with any byte changed are none", () => {
    for (let at = 0; at < NOTE.length; at++) {
      const changed = `${NOTE.slice(0, at)}${NOTE[at] === "x" ? "y" : "x"}${NOTE.slice(at + 1)}`;
      expect(cosignedAtS(changed, witness(KEY)), `byte ${at}`).toBeUndefined();
    }
  });

  it("are taken out of an answer by their key, whatever else is in it", () => {
    const stranger = LINE.replace("5Csv", "AAAA");
    expect(linesOf(`${stranger}nonsense\n${LINE}`, witness(KEY))).toEqual([LINE.trimEnd()]);
    expect(linesOf(stranger, witness(KEY))).toEqual([]);
  });

  it("are not by keys that sign notes, nor the other way round", () => {
    const ofLog = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    expect(parseWitnessKey(ofLog)).toBeUndefined();
    expect(parseVerifierKey(KEY)).toBeUndefined();
    expect(parseWitnessKey(KEY.replace("e42b2f2c", "e42b2f2d"))).toBeUndefined();
  });
});
