/** Writes an object under a key that none has: by one request, or in parts where it is large. */
import type { ObjectWrite, S3Client } from "./s3-client.ts";

/** Services take parts of 5 MiB and more, and objects of up to 5 GiB at once; a part that fails is a loss of this much. */
export const PART_BYTES = 16 * 1024 * 1024;

/** @throws S3Fault 412 an object has the key */
export async function writeObject(client: S3Client, key: string, write: ObjectWrite): Promise<void> {
  if (write.body.length <= PART_BYTES) {
    await client.put(key, write);
    return;
  }
  const id = await client.beginUpload(key, write);
  try {
    const etags: string[] = [];
    for (let at = 0; at < write.body.length; at += PART_BYTES)
      etags.push(await client.uploadPart(key, id, etags.length + 1, write.body.subarray(at, at + PART_BYTES)));
    await client.completeUpload(key, id, etags);
  } catch (cause) {
    // Parts of an upload that nobody ends are paid for. What cannot be aborted now is left to the bucket's lifecycle rules.
    await client.abortUpload(key, id).catch(() => undefined);
    throw cause;
  }
}
