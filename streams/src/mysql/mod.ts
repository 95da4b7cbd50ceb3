/** MariaDB and MySQL: tables. Every export is listed by name. */
export { mysqlError } from "./errors.ts";
export { mysqlSink, mysqlSource } from "./mysql-connectors.ts";
