/** SQLite: tables of a file as sources and sinks. Every export is listed by name. */
export { sqliteError } from "./errors.ts";
export { sqliteSink, sqliteSource } from "./sqlite-connectors.ts";
