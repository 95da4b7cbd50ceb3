import { expect, test } from "vitest";
import { columnsOf, cutTo, inert } from "./terminal-text.ts";

test("what would steer a terminal is shown, and does not", () => {
  expect(inert("\u001b[2Ja\rb\u009b1m\u202egpj.exe\u0007")).toBe("\\u001b[2Ja\\u000db\\u009b1m\\u202egpj.exe\\u0007");
  const plain = "a\tb\nŁódź 客 👩‍👩‍👧 \u05d0";
  expect(inert(plain)).toBe(plain);
});

test("a text is as wide as a terminal shows it", () => {
  expect(["", "abc", "Łódź", "e\u0301", "日本", "👩‍👩‍👧", "ｗ", "ㅎ", "→", "🇵🇱", "❤️"].map(columnsOf)).toEqual([
    0, 3, 4, 1, 4, 2, 2, 2, 1, 2, 2,
  ]);
});

test("what is too wide is cut between characters", () => {
  expect(cutTo(5, "abcde")).toBe("abcde");
  expect(cutTo(5, "abcdef")).toBe("abcd…");
  expect(cutTo(6, "日本語x")).toBe("日本…");
  expect(cutTo(4, "a👩‍👩‍👧👩‍👩‍👧")).toBe("a👩‍👩‍👧…");
});
