/** The error catalogue of connectors to SQLite. */
import { defineErrors } from "@millrace/engine";

export const sqliteError = defineErrors({
  "SQLITE-ROW": {
    kind: "rejected",
    summary: "A row does not fit the table that a sink writes it to.",
    remedy:
      "Compare its fields with the columns and constraints of the table; a `map` before the sink can select and rename.",
  },
  "SQLITE-KEY": {
    kind: "terminal",
    summary: "A table has no unique index over exactly the columns that a sink's `key` names.",
    remedy: "Create one, or name the columns of the primary key.",
  },
  "SQLITE-BEHIND": {
    kind: "terminal",
    summary:
      "A database has less of a sink's rows than the sink committed: it was replaced by, or restored to, an earlier state.",
    remedy: "Restore the newer state, or give the node another name and let it write from the beginning.",
  },
  "SQLITE-CURSOR": {
    kind: "terminal",
    summary: "The column that a table is to be read by cannot be that, or counts from an earlier value again.",
    remedy:
      "A cursor is an integer from 0 to 2^53 - 1, not null, with a unique index of its own. Where rows are deleted declare it `integer primary key autoincrement`, so that no number is given twice.",
  },
  "SQLITE-DAMAGED": {
    kind: "terminal",
    summary: "A file is no database of SQLite, or is damaged.",
    remedy: "Restore it from a backup; `pragma integrity_check` says what is wrong with it.",
  },
});
