import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import type { PackedCalculator } from "./packed-calculator.ts";
import { openWasm } from "./wasm-calculator.ts";

const I32 = 0x7f;
const END = 0x0b;
const ROOM = 1000;
/** `(length > 1000) ? 0 : the next address`: what `malloc` of C does where there is no room. */
const ALLOC = [
  ...[0x20, 0, 0x41, 0xe8, 0x07, 0x4b, 0x04, I32, 0x41, 0, 0x05],
  ...[0x23, 0, 0x23, 0, 0x20, 0, 0x6a, 0x24, 0, END],
];
const TRAP = [0x20, 0, 0x41, 0xe8, 0x07, 0x4b, 0x04, 0x40, 0x00, END, ...ALLOC];
const constant = (n: number): number[] => [0x41, n];

const text = (name: string): number[] => [name.length, ...Buffer.from(name)];
const list = (items: readonly (readonly number[])[]): number[] => [items.length, ...items.flat()];
const section = (id: number, body: readonly number[]): number[] => [
  id,
  0x80 | (body.length & 0x7f),
  body.length >> 7,
  ...body,
];

/** A module with the functions of the header, of which `ab_alloc` is this. */
function moduleWith(alloc: readonly number[]): Uint8Array {
  const functions: readonly (readonly [name: string, type: number, body: readonly number[]])[] = [
    ["ab_abi_version", 0, constant(1)],
    ["ab_last_error", 0, constant(0)],
    ["ab_describe", 1, constant(0)],
    ["ab_open", 2, constant(0)],
    ["ab_batch", 2, constant(0)],
    ["ab_alloc", 3, alloc],
    ["ab_free", 4, []],
  ];
  const takes = (n: number, result: readonly number[]): number[] => [0x60, n, ...Array<number>(n).fill(I32), ...result];
  const one = [1, I32];
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, list([takes(0, one), takes(2, one), takes(3, one), takes(1, one), takes(2, [0])])),
    ...section(3, list(functions.map(([, type]) => [type]))),
    ...section(5, [1, 0, 1]),
    ...section(6, [1, I32, 1, 0x41, 0x80, 0x08, END]),
    ...section(7, list([[...text("memory"), 2, 0], ...functions.map(([name], i) => [...text(name), 0, i])])),
    ...section(10, list(functions.map(([, , body]) => [body.length + 2, 0, ...body, END]))),
  ]);
}

let dir = "";
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function opened(alloc: readonly number[]): PackedCalculator {
  dir = mkdtempSync(join(tmpdir(), "millrace-wasm-"));
  const file = join(dir, "c.wasm");
  writeFileSync(file, moduleWith(alloc));
  return openWasm({ file, config: Uint8Array.of(0xc0), graph: "g", node: "n", memoryMib: 1 });
}

test.each([
  ["says so", ALLOC],
  ["traps", TRAP],
])("a module that has no room for a batch and %s is not written into, and goes on with a new memory", (_, alloc) => {
  const calculator = opened(alloc);
  const rows = new Uint8Array(ROOM + 1).fill(7);
  const run = (): Uint8Array => calculator.batch(rows.subarray(0, 1), 0, undefined);
  expect(run()).toEqual(new Uint8Array());
  expect(() => calculator.batch(rows, 0, undefined)).toThrow("it has no room for 1001 bytes");
  expect(run()).toEqual(new Uint8Array());
});
