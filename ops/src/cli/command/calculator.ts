import { closeSync, existsSync, writeFileSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { durationMs, type Json, messageOf } from "@millrace/engine";
import pc from "picocolors";
import { type FileOptions, openFile } from "../../calculator/open-file.ts";
import { type Growth, generated, growthOf, type Measurement, profile } from "../../calculator/profile.ts";
import { firstFilesOf, type Language, vectorsTemplate } from "../../calculator/templates.ts";
import { type CaseResult, parseVectors, runCase } from "../../calculator/vectors.ts";
import { sdk } from "../../compile/calculator-process.ts";
import { opsError } from "../../errors.ts";
import { MadeFiles } from "../../made-files.ts";
import { EXIT } from "../failure.ts";
import { writeJson, writeLine, writeTable } from "../output.ts";
import { readInput } from "../read-input.ts";
import { shellWord } from "../shell-word.ts";

interface CommonOptions {
  readonly export?: string;
  readonly interpreter?: string;
  readonly deadline: string;
  readonly memory: number;
  readonly json?: boolean;
}

/** Writes a file and its vectors; nothing is overwritten. */
export function newCalculator(path: string, options: { readonly lang: Language; readonly json?: boolean }): void {
  const directory = dirname(path);
  const name = path.slice(directory === "." ? path.lastIndexOf("/") + 1 : directory.length + 1);
  if (!/^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/.test(name))
    throw opsError("CLI-USAGE", `\`${name}\` is no name like late-score: lower-case letters, digits, hyphens`);
  const { files: first, built } = firstFilesOf(options.lang, name, sdk);
  const files = [...first, vectorsTemplate(name)];
  const paths = files.map(({ file }) => join(directory, file));
  const taken = paths.find((file) => existsSync(file));
  if (taken !== undefined) throw opsError("CLI-USAGE", `${taken} is there already`, { place: { file: taken } });
  writeNew(files.map(({ text }, i) => [paths[i] as string, text]));
  const [file = "", vectors = ""] = [paths[0], paths.at(-1)];
  if (options.json === true) writeJson({ file, vectors, ...(built === undefined ? {} : { build: built.command }) });
  else {
    const used = built === undefined ? file : join(directory, built.file);
    writeLine(`${paths.slice(0, -1).join(", ")} and ${vectors} are written. Try:`);
    if (built !== undefined)
      writeLine(`  ${directory === "." ? built.command : `(cd ${shellWord(directory)} && ${built.command})`}`);
    writeLine(`  millrace calculator test ${shellWord(used)} --vectors ${shellWord(vectors)}`);
    writeLine(`In a graph: { kind: calculator, input: …, use: ${isAbsolute(used) ? "" : "./"}${used} }`);
  }
}

/** All of them or none. */
function writeNew(files: readonly (readonly [path: string, text: string])[]): void {
  const made = new MadeFiles();
  try {
    for (const [path, text] of files) {
      made.folder(dirname(path));
      const fd = made.file(path);
      writeFileSync(fd, text);
      closeSync(fd);
    }
  } catch (error) {
    made.takeBack();
    throw error;
  }
}

/** Runs every case; exit code 1 when one fails. */
export async function testCalculator(
  file: string,
  options: CommonOptions & { readonly vectors: string },
): Promise<void> {
  const { config, rest, cases } = parseVectors(readInput(options.vectors).toString("utf8"), options.vectors);
  const opened = { ...fileOptions(options), config, ...(rest === undefined ? {} : { rest }) };
  const calculator = await openFile(file, opened);
  const results: CaseResult[] = [];
  try {
    for (const one of cases) results.push(await runCase(calculator, one));
  } finally {
    await calculator.close();
  }
  const failed = results.filter(({ passed }) => !passed).length;
  if (options.json === true) writeJson({ file, cases: results, passed: results.length - failed, failed });
  else {
    for (const result of results) writeCase(result);
    writeLine(`${results.length - failed} passed, ${failed} failed`);
  }
  if (failed > 0) process.exitCode = EXIT.findings;
}

function writeCase({ name, passed, got, expected, failures }: CaseResult): void {
  writeLine(`${passed ? pc.green("ok    ") : pc.red("FAILED")} ${name}`);
  if (passed) return;
  writeLine(`  expected ${JSON.stringify(expected)}`);
  writeLine(`  got      ${JSON.stringify(got)}`);
  for (const failure of failures) writeLine(`  because  ${failure}`);
}

export interface ProfileOptions extends CommonOptions {
  readonly sizes: readonly number[];
  readonly runs: number;
  readonly seed: number;
  readonly input?: string;
  readonly config?: string;
}

/** Measures every calculator at every size; exit code 1 when one failed. */
export async function profileCalculators(files: readonly string[], options: ProfileOptions): Promise<void> {
  const { sizes, runs, seed, input, json = false } = options;
  const rows = input === undefined ? generated(seed) : recorded(input, Math.max(...sizes));
  const config = options.config === undefined ? null : jsonIn(options.config, "--config");
  const opened = { ...fileOptions(options), config };
  const all: Measurement[] = [];
  for (const name of files)
    all.push(...(await profile(name, { sizes, runs, rows, open: (file) => openFile(file, opened) })));
  const growths = files.map((calculator) => growthOf(calculator, all));
  if (json) writeJson({ measurements: all, growth: growths });
  else writeProfile(all, growths);
  if (all.some(({ error }) => error !== null)) process.exitCode = EXIT.findings;
}

function writeProfile(all: readonly Measurement[], growths: readonly Growth[]): void {
  writeTable(
    ["calculator", "size", "time ms", "cpu ms", "memory MiB", "iterations", "error"],
    all.map((m) => [m.calculator, m.size, m.timeMs, m.cpuMs, m.memoryMib, m.iterations, m.error]),
  );
  for (const { calculator, time, iterations } of growths) {
    const powers = [
      ...(time === null ? [] : [`time grows with size^${time.toFixed(2)}`]),
      ...(iterations === null ? [] : [`iterations with size^${iterations.toFixed(2)}`]),
    ];
    if (powers.length > 0) writeLine(`${calculator}: ${powers.join(", ")}`);
  }
}

function fileOptions(options: CommonOptions): FileOptions {
  const { deadline, memory: memoryMib, interpreter } = options;
  let deadlineMs: number;
  try {
    deadlineMs = durationMs(deadline);
  } catch (cause) {
    throw opsError("CLI-USAGE", `--deadline ${deadline}: ${messageOf(cause)}`, { cause });
  }
  return {
    deadlineMs,
    memoryMib,
    ...(interpreter === undefined ? {} : { interpreter }),
    ...(options.export === undefined ? {} : { export: options.export }),
  };
}

/** The first messages of a file with one JSON value a line. */
function recorded(file: string, most: number): (size: number) => readonly Json[] {
  const lines = readInput(file).toString("utf8").split("\n").filter(Boolean);
  if (lines.length < most) throw opsError("CLI-USAGE", `${file} has ${lines.length} messages, fewer than ${most}`);
  const rows = lines.slice(0, most).map((line, i) => jsonIn(line, `${file}:${i + 1}`));
  return (size) => rows.slice(0, size);
}

function jsonIn(text: string, where: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (cause) {
    throw opsError("CLI-USAGE", `${where} is not JSON: ${messageOf(cause)}`, { cause });
  }
}
