/** A session with a server: statements in text, values in bytes. */
import mysql, { type Connection, type ConnectionOptions, type QueryError, type TypeCastField } from "mysql2";

/** A row: bytes of each value as the server writes them in text, null for NULL. */
export type RawRow = Readonly<Record<string, Buffer | null>>;

/** Values of a statement's `?`; an array stands for a list. */
export type Value = string | number | null | readonly Value[];

/** The library's types say text where it gives bytes when asked for them. */
const bytes = (field: TypeCastField): Buffer | null => field.buffer();

export class Session {
  readonly #connection: Connection;
  readonly #ended: Promise<unknown>;
  /** Statements without an answer. The library forgets them when the connection is ended. */
  readonly #waiting: Set<(reason: Error) => void> = new Set();

  private constructor(connection: Connection) {
    this.#connection = connection;
    // The reason of the end; without a listener the process would end.
    this.#ended = new Promise((resolve) => {
      connection.on("error", resolve);
      connection.on("end", () => resolve(undefined));
    });
  }

  static async open(options: ConnectionOptions): Promise<Session> {
    const connection = mysql.createConnection({ ...options, typeCast: bytes });
    const session = new Session(connection);
    await new Promise<void>((resolve, reject) => {
      connection.connect((error) => (error === null ? resolve() : reject(error)));
    }).catch((error: unknown) => {
      session.close();
      throw error;
    });
    return session;
  }

  get id(): number {
    return this.#connection.threadId ?? 0;
  }

  /** Rows of a query; none of a statement that gives none. */
  async query<R extends RawRow = RawRow>(statement: string, values: readonly Value[] = []): Promise<readonly R[]> {
    const result = await this.#answered<unknown>((answer) =>
      this.#connection.query(statement, values as Value[], answer),
    );
    return Array.isArray(result) ? (result as R[]) : [];
  }

  ping(): Promise<unknown> {
    return this.#answered((answer) => this.#connection.ping((error) => answer(error, undefined)));
  }

  #answered<T>(ask: (answer: (error: QueryError | null, result: T) => void) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      ask((error, result) => {
        this.#waiting.delete(reject);
        if (error) reject(error);
        else resolve(result);
      });
    });
  }

  ended(): Promise<unknown> {
    return this.#ended;
  }

  /** A link that is cut would never answer a farewell, so nobody waits for it. */
  close(): void {
    this.#connection.destroy();
    for (const reject of this.#waiting) reject(new Error("the connection was closed"));
    this.#waiting.clear();
  }
}

/** An error of the server, with its number. */
export interface ServerError extends Error {
  readonly errno: number;
  readonly sqlState?: string;
}

export const isServerError = (cause: unknown): cause is ServerError =>
  cause instanceof Error && typeof (cause as Partial<ServerError>).errno === "number" && "sqlState" in cause;

/** A name in a statement, as it is. */
export const identifier = (name: string): string => `\`${name.replaceAll("`", "``")}\``;

export const textOf = (bytes: Buffer | null | undefined): string | undefined => bytes?.toString();
