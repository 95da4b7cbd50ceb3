/** MariaDB and MySQL: tables. Every export is listed by name. */
export { mysqlError } from "./errors.ts";
export { type MysqlSinkOptions, type MysqlSourceOptions, mysqlSink, mysqlSource } from "./mysql-connectors.ts";
