/** PostgreSQL: tables and outboxes. Every export is listed by name. */
export { postgresError } from "./errors.ts";
export { postgresFeed, postgresSink, postgresSource } from "./postgres-connectors.ts";
