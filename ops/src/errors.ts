/** The error catalogue of the host and the command line. */
import { defineErrors } from "@millrace/engine/worker";

export const opsError = defineErrors({
  "LOG-HOLD": {
    kind: "rejected",
    summary: "There is no legal hold of this name, or there is one already.",
    remedy: "Look at `millrace log hold ls`.",
  },
  "HOST-REVISION": {
    kind: "rejected",
    summary: "The graph's present revision cannot be run to its end, so that another could take its place.",
    remedy:
      "Put former tables and calculators back, and in order what a node cannot reach, until the new graph file is deployed; or use another directory (`--data DIR`).",
  },
  "HOST-GRAPH": {
    kind: "rejected",
    summary: "There is no such graph on this host, or two graphs have one name.",
    remedy: "Look at `millrace graph ls`.",
  },
  "HOST-NODE": {
    kind: "rejected",
    summary: "A node cannot do what is asked of it.",
    remedy: "Look at the node's kind in the graph file.",
  },
  "HOST-MOMENT": {
    kind: "rejected",
    summary: "A moment is asked for that the log does not reach, or at which there was no such graph or node.",
    remedy: "Ask for a position up to the log's end, at which the graph had been deployed.",
  },
  "HOST-CARRY": {
    kind: "terminal",
    summary: "The state of a node cannot be folded from the log, so that a prune could not carry it.",
    remedy: "The cause says why; nothing that the node needs was pruned.",
  },
  "HOST-STATE": {
    kind: "rejected",
    summary: "A graph is not in a state in which this can be done.",
    remedy: "Look at the graph's state; start or resume it first.",
  },
  "HOST-PROJECTION": {
    kind: "rejected",
    summary: "Sinks declare a projection in a way that cannot be, or a node reads one that there is not.",
    remedy: "Give projections different names, or the same key; read one that a graph of this data directory writes.",
  },
  "HOST-REDRIVE": {
    kind: "rejected",
    summary: "A dead letter cannot be sent through its node again.",
    remedy: "Read the message: it says why; correct the input at its source.",
  },
  "HOST-EDGES": {
    kind: "rejected",
    summary: "An edge leads over a broker that was not named, or the broker's address cannot be understood.",
    remedy: "Start with `--edges nats://host:4222` or `--edges kafka://host:9092`, or take `via` off the edge.",
  },
  "HOST-PATH": {
    kind: "rejected",
    summary: "A sink's file lies outside of the data directory's `out` folder.",
    remedy: "Name a file below it, or an absolute path.",
  },
  "HOST-FILE": {
    kind: "rejected",
    summary: "A sink would remove what is in a file: another sink has written it, or the graph reads it.",
    remedy: "Give the sink another file, move the file away first, or use another data directory (`--data DIR`).",
  },
  "HOST-CONNECTOR": {
    kind: "rejected",
    summary: "This host has no connector or table reader for an address.",
    remedy: "Use an address that this version supports.",
  },
  "HOST-CALCULATOR": {
    kind: "rejected",
    summary: "This host has no program that runs a calculator's file.",
    remedy: "Use a language that this version runs; build its SDK where the message says so.",
  },
  "HOST-TABLE": {
    kind: "rejected",
    summary: "A table of an enrich node cannot be read.",
    remedy: "Correct the file at the place given; the key column must exist.",
  },
  "HOST-PORT": {
    kind: "terminal",
    summary: "The HTTP port is taken or may not be used.",
    remedy: "Stop the other process, or choose another port with `--port`.",
  },
  "HOST-PARKED": {
    kind: "terminal",
    summary: "A node failed more often than allowed, so the run cannot end.",
    remedy: "Read the cause, correct it, and run again with the same data directory: it goes on where it stopped.",
  },
  "HOST-DATA": {
    kind: "terminal",
    summary: "The data directory cannot be written to, or its disk fails.",
    remedy: "Look at the directory's permissions, its file system and the space on it; nothing was changed.",
  },
  "HOST-LOG": {
    kind: "rejected",
    summary: "A data directory belongs to another log than the one that is named.",
    remedy:
      "Name the log that the directory was made with (`--log`, or MILLRACE_LOG; without either it is the directory's own), or another directory.",
  },
  "HOST-REMOTE-LOG": {
    kind: "rejected",
    summary: "The log is in EventStoreDB, and what is asked is only done with a log in the data directory.",
    remedy: "Use EventStoreDB's own means, which the documentation names, or keep the log in the data directory.",
  },
  "HOST-EMPTY": {
    kind: "rejected",
    summary: "A directory holds no Millrace data.",
    remedy: "Name the directory that `run` or `serve` wrote to.",
  },
  "HOST-RUNNING": {
    kind: "rejected",
    summary: "The files of a running server are asked for, which only the server itself may open.",
    remedy: "Ask the server: leave `--data` out, and name its address with `--url` if it is not the usual one.",
  },
  "HOST-BUSY": {
    kind: "transient",
    summary: "A process has the data directory open and takes no requests: it starts or stops, or is another command.",
    remedy: "Ask again in a moment.",
  },
  "HOST-LOST": {
    kind: "transient",
    summary: "The running host ended before it answered a request for its log.",
    remedy: "Ask again: what was asked before is done, or the next start finishes it, or it has had no effect.",
  },
  "HOST-CARE": {
    kind: "terminal",
    summary: "The running host of a data directory cannot be asked to care for its log.",
    remedy: "Read the cause: ask as the user whom the data directory belongs to, with the version that the host has.",
  },
  "SQL-QUERY": {
    kind: "rejected",
    summary: "A query over the log cannot be understood, or fails on a value that it meets.",
    remedy: "Correct it at the line and column given; `millrace sql 'describe events'` shows a table's columns.",
  },
  "SQL-REFUSED": {
    kind: "rejected",
    summary: "A query would do something else than read the tables of the log.",
    remedy:
      "Ask with one SELECT; files, networks, extensions and settings are out of its reach. `--parquet FILE` writes the answer.",
  },
  "SQL-MEMORY": {
    kind: "rejected",
    summary: "A query over the log needs more memory at once than it is given; what can be kept in a file was.",
    remedy:
      "Ask for less at once: fewer columns (most of an event is its `payload`, which `steps` is made of), as in `summarize select node, messages_in from steps`, or a part of the log with `--from` and `--to`.",
  },
  "CLI-USAGE": {
    kind: "rejected",
    summary: "A command was given something that it cannot use.",
    remedy: "Correct what the message names; the command's `--help` shows what is possible.",
  },
  "CLI-UNKNOWN": {
    kind: "rejected",
    summary: "A name in a question is one that the log does not know.",
    remedy:
      "Correct it: `millrace graph ls`, `millrace graph show GRAPH`, `millrace projection ls` and `millrace events ls` show names that there are.",
  },
  "CLI-UNREACHABLE": {
    kind: "transient",
    summary: "No Millrace server answers at the address.",
    remedy:
      "Start one with `millrace serve`, or name it with `--url`; most commands read the files of a stopped one with `--data DIR`.",
  },
  "CLI-REFUSED": {
    kind: "rejected",
    summary: "The server refused a request.",
    remedy: "Read its message.",
  },
});
