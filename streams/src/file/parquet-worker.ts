/** The inside of a decoding thread: decodes one row group per request and hands its buffers over. */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { messageOf } from "@millrace/engine/worker";
import { ParquetFile } from "./parquet-file.ts";
import { buffersOf, type RowGroup } from "./row-group.ts";

export interface ParquetWorkerData {
  readonly path: string;
  readonly fromRow: number;
}

export type ParquetWorkerAnswer =
  | { readonly group: RowGroup | undefined }
  | { readonly failed: string; readonly code: string | undefined };

async function serve(port: MessagePort, { path, fromRow }: ParquetWorkerData): Promise<void> {
  const file = ParquetFile.open(path, fromRow);
  // A failure is the answer to the first request.
  file.catch(() => {});
  port.on("message", () => {
    const answer = file.then((opened) => opened.next());
    answer.then(
      (group) => port.postMessage({ group } satisfies ParquetWorkerAnswer, group === undefined ? [] : buffersOf(group)),
      (cause: unknown) =>
        port.postMessage({
          failed: messageOf(cause),
          code: (cause as { code?: string }).code,
        } satisfies ParquetWorkerAnswer),
    );
  });
}

const { parquet } = (workerData ?? {}) as { readonly parquet?: ParquetWorkerData };
if (parentPort !== null && parquet !== undefined) await serve(parentPort, parquet);
