import { defineErrors } from "../errors.ts";

export const graphError = defineErrors({
  "GRAPH-INVALID": {
    kind: "rejected",
    summary: "A graph definition has problems.",
    remedy: "Correct every problem in the list; each names its place.",
  },
  "GRAPH-SYNTAX": {
    kind: "rejected",
    summary: "A graph file is not valid UTF-8, YAML or JSON, or repeats a key.",
    remedy: "Correct the text at the position.",
  },
  "GRAPH-LIMIT": {
    kind: "rejected",
    summary: "A graph file is larger, deeper or has more nodes than a graph file may.",
    remedy: "Split the graph; move data out of the file.",
  },
  "GRAPH-SCHEMA": {
    kind: "rejected",
    summary: "A key or value of a graph file is not one that the format knows.",
    remedy: "Correct it; the published JSON Schema lists what is possible.",
  },
  "GRAPH-REF": {
    kind: "rejected",
    summary: "A name refers to nothing, or something is never referred to.",
    remedy: "Correct the name, or connect what it should name.",
  },
  "GRAPH-DUP": {
    kind: "rejected",
    summary: "Two things claim the same name or target.",
    remedy: "Rename or remove one of the two.",
  },
  "GRAPH-CYCLE": {
    kind: "rejected",
    summary: "Nodes feed each other without a declared feedback edge and a node with state.",
    remedy: "Break the cycle, or declare one of its edges `feedback: true` and let a node with state be part of it.",
  },
  "GRAPH-EXPR": {
    kind: "rejected",
    summary: "An expression in a graph file is not valid CEL.",
    remedy: "Correct the expression at the position.",
  },
  "GRAPH-TYPE": {
    kind: "rejected",
    summary: "A node reads a field that the messages reaching it never have.",
    remedy: "Correct the field's name, or keep the field upstream.",
  },
  "GRAPH-TIME": {
    kind: "rejected",
    summary: "A duration or schedule is not valid, or a node needs an event time that nothing gives.",
    remedy: "Write durations like 1h30m or 250ms; give sources a `time` field.",
  },
  "GRAPH-CAP": {
    kind: "rejected",
    summary: "A connector is asked for what it cannot do.",
    remedy: "Remove the setting, or use a connector that has the capability.",
  },
  "GRAPH-FILE": {
    kind: "rejected",
    summary: "A file that the graph needs does not exist.",
    remedy: "Create the file, or correct its path; paths are relative to the graph file.",
  },
  "GRAPH-CALC": {
    kind: "rejected",
    summary: "A calculator is not installed.",
    remedy: "Install it, or correct its name.",
  },
  "GRAPH-SECRET": {
    kind: "rejected",
    summary: "A secret that the graph refers to does not exist.",
    remedy: "Provide the environment variable or file that the reference names.",
  },
});

export type GraphErrorCode = keyof typeof graphError.catalogue;
