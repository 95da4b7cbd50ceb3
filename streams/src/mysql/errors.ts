/** The error catalogue of connectors to MariaDB and MySQL. */
import { defineErrors } from "@millrace/engine";

export const mysqlError = defineErrors({
  "MYSQL-ROW": {
    kind: "rejected",
    summary: "A row does not fit the table that a sink writes it to.",
    remedy:
      "Compare its fields with the columns and constraints of the table; a `map` before the sink can select and rename.",
  },
  "MYSQL-KEY": {
    kind: "terminal",
    summary: "A table has no unique index over exactly the columns that a sink's `key` names.",
    remedy: "Create one, or name the columns of the primary key.",
  },
  "MYSQL-BEHIND": {
    kind: "terminal",
    summary:
      "A database has less of a sink's rows than the sink committed: it lost, or was restored to before, what it had said was there.",
    remedy:
      "Restore the newer state, or give the node another name and let it write from the beginning. A server with `innodb_flush_log_at_trx_commit` other than 1 may lose what it committed last.",
  },
  "MYSQL-CURSOR": {
    kind: "terminal",
    summary: "The column that a table is to be read by cannot be that.",
    remedy: "A cursor is an integer from 0 to 2^53 - 1, not null, with a unique index of its own.",
  },
  "MYSQL-ENGINE": {
    kind: "terminal",
    summary: "A sink's table is kept by a storage engine without transactions.",
    remedy: "`alter table … engine = InnoDB`.",
  },
  "MYSQL-PRIVILEGE": {
    kind: "terminal",
    summary: "A source's user may not see who writes to a table, so that it could pass over what commits late.",
    remedy: "`grant process on *.* to …`.",
  },
  "MYSQL-SERVER": {
    kind: "terminal",
    summary: "A source was pointed to a server that does not number its statements, as MariaDB does.",
    remedy: "Read tables of MariaDB. Sinks need no more than MySQL's own statements.",
  },
});
