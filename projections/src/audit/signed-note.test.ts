import { generateKeyPairSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { openCheckpoint, signCheckpoint } from "./checkpoint.ts";
import { formatVerifierKey, openNote, parseVerifierKey, signingKey, signNote } from "./signed-note.ts";

const EXAMPLE_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const EXAMPLE_NOTE = `This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
`;

const key = signingKey("example.org/log", generateKeyPairSync("ed25519").privateKey);
const other = signingKey("example.org/other", generateKeyPairSync("ed25519").privateKey);

function verifier(text: string): NonNullable<ReturnType<typeof parseVerifierKey>> {
  const parsed = parseVerifierKey(text);
  if (parsed === undefined) throw new Error(`no verifier key: ${text}`);
  return parsed;
}

describe("signed notes", () => {
  it("of the specification's example are opened", () => {
    const example = verifier(EXAMPLE_KEY);
    expect(openNote(EXAMPLE_NOTE, example)).toBe("This is an example message.\n");
    expect(formatVerifierKey(example)).toBe(EXAMPLE_KEY);
  });

  it("are opened by the key that signed them, whoever else did", () => {
    const note = signNote("text\n\nof two parts\n", key);
    const line = signNote("text\n\nof two parts\n", other).split("\n").at(-2);
    expect(openNote(note, verifier(formatVerifierKey(key)))).toBe("text\n\nof two parts\n");
    expect(openNote(`${note}${line}\n`, key)).toBe("text\n\nof two parts\n");
    expect(openNote(note, other)).toBeUndefined();
  });

  it("are not opened when their base64 is another text for the same bytes", () => {
    const changed = EXAMPLE_NOTE.replace("eyaQM=", "eyaQN=");
    expect(Buffer.from("eyaQN=", "base64")).toEqual(Buffer.from("eyaQM=", "base64"));
    expect(openNote(changed, verifier(EXAMPLE_KEY))).toBeUndefined();
  });

  it("with any byte changed are not opened", () => {
    const note = signNote("some text\n", key);
    for (let at = 0; at < note.length; at++) {
      const changed = `${note.slice(0, at)}${note[at] === "x" ? "y" : "x"}${note.slice(at + 1)}`;
      expect(openNote(changed, key), `byte ${at}`).toBeUndefined();
    }
  });

  it.each([
    "",
    "example.com/foo",
    EXAMPLE_KEY.replace("530d903a", "530d903b"),
    EXAMPLE_KEY.replace("Aeky", "Beky"),
    EXAMPLE_KEY.slice(0, -4),
  ])("need a verifier key that is one: %s", (text) => {
    expect(parseVerifierKey(text)).toBeUndefined();
  });
});

describe("checkpoints", () => {
  const root = new Uint8Array(32).fill(7);

  it("say what was signed", () => {
    const note = signCheckpoint({ origin: key.name, size: 12, root }, key);
    expect(openCheckpoint(note, key)).toEqual({ origin: key.name, size: 12, root: Buffer.from(root) });
  });

  it.each([
    ["another log's", `example.org/other\n12\n${Buffer.from(root).toString("base64")}\n`],
    ["a size that is none", `example.org/log\n012\n${Buffer.from(root).toString("base64")}\n`],
    ["a root that is too short", "example.org/log\n12\nAAAA\n"],
  ])("with %s are none", (_what, text) => {
    expect(openCheckpoint(signNote(text, key), key)).toBeUndefined();
  });
});
