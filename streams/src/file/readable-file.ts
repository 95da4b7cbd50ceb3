/** What file sources read: a file of the operating system, or anything else whose bytes can be read from any place on. */
import { open } from "node:fs/promises";

/** The part of Node's `FileHandle` that reading takes. */
export interface ReadableFile {
  /** Fewer bytes than asked for may come; none come only at the end. */
  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }>;
  stat(): Promise<{ readonly size: number; readonly ino?: number; readonly dev?: number }>;
  close(): Promise<void>;
}

/** Opens a file anew each time. */
export type FileOpener = () => Promise<ReadableFile>;

export const systemFile = (path: string): FileOpener => {
  return () => open(path, "r");
};
