/** The inside of a database's thread: answers one question after the other. */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { messageOf } from "@millrace/engine/worker";
import { SqliteFailure, SqliteFile, type SqliteRow, type SqliteValue } from "./sqlite-file.ts";

export interface SqliteWorkerData {
  readonly path: string;
  readonly readOnly: boolean;
}

export type SqliteQuestion =
  | { readonly sql: string; readonly values: readonly (readonly SqliteValue[])[] }
  | "check"
  | "close";

export type SqliteAnswer =
  | { readonly rows: SqliteRow[] }
  | { readonly failed: string; readonly errcode: number | undefined };

function serve(port: MessagePort, { path, readOnly }: SqliteWorkerData): void {
  let file: SqliteFile | undefined;
  port.on("message", (question: SqliteQuestion) => {
    try {
      file ??= new SqliteFile(path, readOnly);
      port.postMessage({ rows: answerOf(file, question) } satisfies SqliteAnswer);
    } catch (cause) {
      const errcode = cause instanceof SqliteFailure ? cause.errcode : undefined;
      port.postMessage({ failed: messageOf(cause), errcode } satisfies SqliteAnswer);
    }
  });
}

function answerOf(file: SqliteFile, question: SqliteQuestion): SqliteRow[] {
  if (question === "check") file.check();
  else if (question === "close") file.close();
  else return file.run(question.sql, question.values);
  return [];
}

const { sqlite } = (workerData ?? {}) as { readonly sqlite?: SqliteWorkerData };
if (parentPort !== null && sqlite !== undefined) serve(parentPort, sqlite);
