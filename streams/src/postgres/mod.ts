/** PostgreSQL: tables. Every export is listed by name. */
export { postgresError } from "./errors.ts";
export {
  type PostgresSinkOptions,
  type PostgresSourceOptions,
  postgresSink,
  postgresSource,
} from "./postgres-connectors.ts";
