/** The error catalogue of PostgreSQL connectors. */
import { defineErrors } from "@millrace/engine";

export const postgresError = defineErrors({
  "POSTGRES-ROW": {
    kind: "rejected",
    summary: "A row does not fit the table that a sink writes it to.",
    remedy:
      "Compare its fields with the columns and constraints of the table; a `map` before the sink can select and rename.",
  },
  "POSTGRES-KEY": {
    kind: "terminal",
    summary: "A table has no unique index over exactly the columns that a sink's `key` names.",
    remedy: "Create one, or name the columns of the primary key.",
  },
  "POSTGRES-BEHIND": {
    kind: "terminal",
    summary:
      "A database has less of a sink's rows than the sink committed: it lost, or was restored to before, what it had said was there.",
    remedy: "Restore the newer state, or give the node another name and let it write from the beginning.",
  },
  "POSTGRES-SLOT": {
    kind: "terminal",
    summary: "A replication slot of a name that a source of changes was given is there, and cannot be read by it.",
    remedy: "Give the source another slot: it must be logical, of the same database, and its plugin pgoutput.",
  },
  "POSTGRES-CURSOR": {
    kind: "terminal",
    summary: "The column that a table is to be read by, or that keys or marks the rows of an outbox, cannot be that.",
    remedy:
      "A cursor is an integer from 0 to 2^53 - 1, not null, with a unique index of its own; an outbox's key needs the latter two, its mark is a time.",
  },
});
