/** `millrace calculator …`: to write, test and measure calculators. */
import { type Command, Option } from "commander";
import { integer, jsonOption } from "../options.ts";

export function calculatorCommands(program: Command): void {
  const calculator = program.command("calculator").description("write, test and measure calculators");
  const interpreterOption = (): Option => new Option("--interpreter <program>", "another python3, java or node");
  const exportOption = (): Option => new Option("--export <name>", "calculator of a file that holds several");
  const deadlineOption = (): Option => new Option("--deadline <duration>", "longest time for one message");
  const memoryOption = (): Option =>
    new Option("--memory <mib>", "memory of the code, in MiB")
      .default(256)
      .argParser((text) => integer(text, 16, 1 << 20));
  calculator
    .command("new")
    .description("write a first calculator and its test vectors")
    .argument("<path>", "where, without extension: ./late-score")
    .addOption(
      new Option("--lang <language>", "what it is written in")
        .choices(["ts", "python", "java", "rust", "cpp", "c"])
        .default("ts"),
    )
    .addOption(jsonOption())
    .action(async (path, options) => (await import("../command/calculator.ts")).newCalculator(path, options));
  calculator
    .command("test")
    .description("run a calculator on test vectors: messages in, messages out")
    .argument("<file>", ".ts, .js, .py, .java, .jar, .so or .wasm, or the address of a service")
    .requiredOption(
      "--vectors <file>",
      "JSON: { config, rest, cases: [{ name, given: [messages], expect: [messages], at }] }",
    )
    .addOption(deadlineOption().default("1s"))
    .addOption(memoryOption())
    .addOption(exportOption())
    .addOption(interpreterOption())
    .addOption(jsonOption())
    .action(async (file, options) => (await import("../command/calculator.ts")).testCalculator(file, options));
  calculator
    .command("profile")
    .description("measure time, memory, processor and iterations of calculators over input sizes")
    .argument("<files...>", "files, or the samples bubble-sort, merge-sort, quick-sort")
    .option("--sizes <list>", "sizes, separated by commas", sizeList, [100, 1000, 10_000])
    .option("--runs <n>", "runs per size, after one to warm up", (text) => integer(text, 1, 1000), 5)
    .option("--seed <n>", "of the generated values", (text) => integer(text, 0, 2 ** 32 - 1), 1)
    .option("--input <file>", "take the first messages of a file, one JSON value a line, instead of generated values")
    .option("--config <json>", "handed to init")
    .addOption(deadlineOption().default("30s"))
    .addOption(memoryOption())
    .addOption(exportOption())
    .addOption(interpreterOption())
    .addOption(jsonOption())
    .action(async (files, options) => (await import("../command/calculator.ts")).profileCalculators(files, options));
}

function sizeList(text: string): readonly number[] {
  return text.split(",").map((size) => integer(size.trim(), 1, 10_000_000));
}
