/** PostgreSQL: tables, outboxes and changes. Every export is listed by name. */
export { postgresError } from "./errors.ts";
export { postgresFeed, postgresSink, postgresSource } from "./postgres-connectors.ts";
