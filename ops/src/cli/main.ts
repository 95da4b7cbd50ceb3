#!/usr/bin/env node
/**
 * The command line. Only what every command needs is loaded here; a command loads its own parts when it runs, so that
 * `--help` answers at once.
 */
import { Command, type CommanderError, Option } from "commander";
import { exitFast } from "../fast-exit.ts";
import { hideKnownWarnings } from "./node-warnings.ts";
import {
  DATA,
  dataOption,
  edgesOption,
  integer,
  jsonOption,
  limitOption,
  logOption,
  ownDataOption,
  PORT,
  portOption,
  reasonOption,
  speedOption,
  urlOption,
  withHostOptions,
} from "./options.ts";
import { refuseEmpty } from "./refuse-empty.ts";
import { auditCommands } from "./tree/audit.ts";
import { calculatorCommands } from "./tree/calculator.ts";
import { logCommands } from "./tree/log.ts";

const VERSION = "0.1.0";
const EVENTSTORE_PORT = 2113;

hideKnownWarnings();
// As compose files and units write what is not set. An empty MILLRACE_TOKEN is another matter: it is refused.
for (const name of ["MILLRACE_EDGES", "MILLRACE_LOG", "MILLRACE_URL", "MILLRACE_PAYLOADS", "MILLRACE_WITNESSES"])
  if (process.env[name] === "") delete process.env[name];
const program = new Command("millrace")
  .description("A reactive stream engine: graphs of supervised actors over an append-only event log.")
  .version(VERSION)
  .showHelpAfterError("(--help shows what is possible)")
  .configureHelp({ sortSubcommands: false })
  .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, "CLI-USAGE ")) })
  .exitOverride((error) => endOfUsage(error))
  .hook("preAction", (_, command) => refuseEmpty(command));

withHostOptions(
  program
    .command("run")
    .description("run a graph file; its console is at the port")
    .argument("<graph>", "graph file, YAML or JSON")
    .addOption(dataOption().default(DATA))
    .addOption(logOption())
    .option(
      "--until-done",
      "end when all bounded sources are read and everything is durable; without HTTP unless --port is given",
    )
    .addOption(
      portOption(`HTTP port on 127.0.0.1, 0 for any that is free; ${PORT}, with --until-done none, if not given`),
    )
    .addOption(speedOption())
    .addOption(edgesOption())
    .option("--nodes <names>", "run only these nodes here, separated by commas; the others on other hosts", (text) =>
      text.split(",").map((name) => name.trim()),
    ),
)
  .addOption(jsonOption())
  .action(async (graph, options) => (await import("./command/run.ts")).run(graph, options));

withHostOptions(
  program
    .command("serve")
    .description("run graphs with console and API; without graph files, the demo")
    .argument("[graphs...]", "graph files")
    .addOption(dataOption(`; ${DATA}, for the demo ${DATA}/demo, if not given`))
    .addOption(logOption())
    .addOption(portOption("HTTP port on 127.0.0.1, 0 for any that is free").default(PORT))
    .addOption(
      new Option("--eventstore-port [port]", "serve the log to EventStoreDB clients too; 0 does not")
        .argParser((text) => integer(text, 0, 65_535))
        .preset(String(EVENTSTORE_PORT)),
    )
    .addOption(new Option("--eventstore-cert <file>", "certificate for that port, PEM; without one it speaks no TLS"))
    .addOption(new Option("--eventstore-key <file>", "key of the certificate, PEM"))
    .addOption(speedOption())
    .addOption(edgesOption()),
)
  .addOption(jsonOption())
  .action(async (graphs, options) => (await import("./command/serve.ts")).serve(graphs, options));

program
  .command("validate")
  .description("check graph files; every problem as file:line:col")
  .argument("<files...>", "graph files")
  .addOption(jsonOption())
  .action(async (files, options) => (await import("./command/validate.ts")).validate(files, options));

program
  .command("test")
  .description("run the tests in graph files: rows given to sources, rows expected of sinks; ends with 1 if one fails")
  .argument("<files...>", "graph files")
  .addOption(jsonOption())
  .action(async (files, options) => (await import("./command/test.ts")).test(files, options));

const graph = program.command("graph").description("graphs of a running server");
graph
  .command("ls")
  .description("list graphs")
  .addOption(urlOption())
  .addOption(jsonOption())
  .action(async (options) => (await import("./command/graph.ts")).listGraphs(options));
graph
  .command("show")
  .description("nodes and edges of a graph")
  .argument("<graph>")
  .addOption(urlOption())
  .addOption(jsonOption())
  .action(async (name, options) => (await import("./command/graph.ts")).showGraph(name, options));
for (const [verb, description] of [
  ["stop", "stop a graph after its steps in flight"],
  ["start", "start a stopped graph where it left off"],
  ["suspend", "stop the intake of a graph; what is under way flows on"],
  ["resume", "end a suspension, and give parked nodes another start"],
] as const) {
  graph
    .command(verb)
    .description(description)
    .argument("<graph>")
    .addOption(urlOption())
    .addOption(reasonOption())
    .addOption(jsonOption())
    .action(async (name, options) => (await import("./command/graph.ts")).changeGraph(verb, name, options));
}

const events = program.command("events").description("the event log");
events
  .command("show")
  .description("one event with its whole payload")
  .argument("<position>", "position in the log", (text) => integer(text, 0, Number.MAX_SAFE_INTEGER))
  .addOption(urlOption())
  .addOption(dataOption())
  .addOption(jsonOption())
  .action(async (position, options) => (await import("./command/events.ts")).showEvent(position, options));
events
  .command("ls")
  .description("list events, newest first")
  .addOption(urlOption())
  .addOption(dataOption())
  .option("--graph <name>", "of this graph")
  .option("--node <name>", "of this node")
  .option("--stream <name>", "exactly this stream")
  .option("--type <types>", "event types, separated by commas")
  .option("--category <name>", "of streams whose names begin with this and a -")
  .option("--correlation <id>", "events of one cause: 32 hex digits")
  .option("--tag <text>", "with this tag; may be repeated: with all of them", collect)
  .option("--from <position>", "first position", (text) => integer(text, 0, Number.MAX_SAFE_INTEGER))
  .option("--forward", "oldest first")
  .addOption(limitOption())
  .addOption(jsonOption())
  .action(async (options) => (await import("./command/events.ts")).listEvents(options));

program
  .command("state")
  .description("the state of a node, now or at any moment of the log")
  .argument("<graph/node>")
  .option("--at <moment>", "a position, exclusive, or a time such as 2026-01-31T12:00:00Z")
  .addOption(limitOption())
  .addOption(urlOption())
  .addOption(dataOption())
  .addOption(jsonOption())
  .action(async (node, options) => (await import("./command/time.ts")).showState(node, options));
program
  .command("diff")
  .description("how the state of a node differs between two moments; ends with 1 if it does")
  .argument("<graph/node>")
  .requiredOption("--from <moment>", "the earlier: a position, exclusive, or a time")
  .option("--to <moment>", "the later (default: now)")
  .addOption(limitOption())
  .addOption(urlOption())
  .addOption(dataOption())
  .addOption(jsonOption())
  .action(async (node, options) => (await import("./command/time.ts")).diffState(node, options));
program
  .command("whodunit")
  .description("which events changed a stream, or a field of a node's state: when, by whom, why")
  .argument("<stream>", "<graph>/<node>, or graph/<graph> for what happened to a graph as a whole")
  .argument("[field]", "only what changed this field")
  .addOption(limitOption())
  .addOption(urlOption())
  .addOption(dataOption())
  .addOption(jsonOption())
  .action(async (stream, field, options) => (await import("./command/time.ts")).whodunit(stream, field, options));
program
  .command("trace")
  .description("everything that followed from one cause, as a tree")
  .argument("<id>", "position of an event, or the 32 hex digits of an event or correlation")
  .addOption(urlOption())
  .addOption(dataOption())
  .addOption(jsonOption())
  .action(async (id, options) => (await import("./command/trace.ts")).trace(id, options));

program
  .command("sql")
  .description(
    "ask the log in SQL (DuckDB): tables events, steps, and every projection, with _ for - in its name; times are UTC",
  )
  .argument("<query>", "one SELECT, DESCRIBE, SUMMARIZE or SHOW")
  .addOption(urlOption())
  .addOption(dataOption())
  .option("--from <position>", "first position of events and steps", (text) =>
    integer(text, 0, Number.MAX_SAFE_INTEGER),
  )
  .option("--to <position>", "everything as of this position, exclusive", (text) =>
    integer(text, 0, Number.MAX_SAFE_INTEGER),
  )
  .addOption(new Option("--csv", "CSV on stdout").conflicts(["json", "parquet", "arrow"]))
  .addOption(new Option("--parquet <file>", "write the answer as a Parquet file").conflicts("arrow"))
  .addOption(new Option("--arrow <file>", "write the answer as an Arrow IPC file"))
  .addOption(jsonOption())
  .action(async (query, options) => (await import("./command/sql.ts")).sql(query, options));

const projection = program.command("projection").description("projections: tables that follow the log");
projection
  .command("ls")
  .description("list projections and how far they are")
  .addOption(urlOption())
  .addOption(dataOption())
  .addOption(jsonOption())
  .action(async (options) => (await import("./command/projection.ts")).listProjections(options));
projection
  .command("query")
  .description("rows of a projection")
  .argument("<name>")
  .option("--where <field=value>", "a field is equal; may be repeated", collect)
  .addOption(new Option("--order <order>", "order of the key").choices(["asc", "desc"]).default("asc"))
  .option("--as-of <moment>", "rows as they were then: a position, exclusive, or a time such as 2026-01-31T12:00:00Z")
  .addOption(limitOption())
  .addOption(urlOption())
  .addOption(dataOption())
  .addOption(jsonOption())
  .action(async (name, options) => (await import("./command/projection.ts")).queryProjection(name, options));

const dlq = program.command("dlq").description("dead letters: messages that nodes gave up on");
dlq
  .command("ls")
  .description("list dead letters, newest first")
  .option("--graph <name>", "of this graph")
  .option("--node <name>", "of this node")
  .option("--code <code>", "error code")
  .addOption(new Option("--state <state>", "what became of it").choices(["waiting", "redriven", "discarded"]))
  .addOption(limitOption())
  .addOption(urlOption())
  .addOption(dataOption())
  .addOption(jsonOption())
  .action(async (options) => (await import("./command/dlq.ts")).listDeadLetters(options));
dlq
  .command("show")
  .description("one dead letter with its input and error")
  .argument("<id>", "as `dlq ls` shows it")
  .addOption(urlOption())
  .addOption(dataOption())
  .addOption(jsonOption())
  .action(async (id, options) => (await import("./command/dlq.ts")).showDeadLetter(id, options));
dlq
  .command("redrive")
  .description("send dead letters through their node again")
  .argument("<ids...>", "as `dlq ls` shows them")
  .addOption(urlOption())
  .addOption(reasonOption())
  .addOption(jsonOption())
  .action(async (ids, options) => (await import("./command/dlq.ts")).redriveDeadLetters(ids, options));

auditCommands(program);
logCommands(program);

program
  .command("erase")
  .description(
    "destroy the key of a subject: its sealed values become unreadable everywhere, proofs hold; a running host does it beside its graphs",
  )
  .argument("<subject>", "as messages have it; - reads it from stdin, so that no shell history names it")
  .option("--yes", "do it; without, only say what would be done")
  .addOption(reasonOption())
  .addOption(ownDataOption())
  .addOption(jsonOption())
  .action(async (subject, options) => (await import("./command/erase.ts")).erase(subject, options));

calculatorCommands(program);

program
  .command("doctor")
  .description("check this machine: Node, disk, LMDB, port, and a server if one runs")
  .addOption(dataOption().default(DATA))
  .addOption(portOption().default(PORT))
  .addOption(jsonOption())
  .action(async (options) => (await import("./command/doctor.ts")).doctor(options));

// Whoever reads the output may have seen enough.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  exitFast(0);
});

try {
  await program.parseAsync();
} catch (thrown) {
  const { reportFailure } = await import("./failure.ts");
  process.exitCode = reportFailure(thrown, process.argv.includes("--json"));
}

/** What commander has found wrong it has written; programs that asked for JSON get it as such too. */
function endOfUsage({ exitCode, message }: CommanderError): never {
  if (exitCode === 0) process.exit(0);
  const report = { code: "CLI-USAGE", kind: "rejected", message: message.replace(/^error: /, "") };
  if (process.argv.includes("--json")) process.stdout.write(`${JSON.stringify({ error: report })}\n`);
  process.exit(2);
}

function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}
