/** Names of the files that an archived segment becomes. */
import { segmentName } from "./segment-files.ts";

export type ArchiveKind = "zst" | "parquet" | "leaves";
export const ARCHIVE_KINDS: readonly ArchiveKind[] = ["zst", "parquet", "leaves"];

const NAME = /^(\d{10})\.(zst|parquet|leaves)$/;

export function archiveDirectory(directory: string): string {
  return `${directory}/archive`;
}

export function archivePath(directory: string, serial: number, kind: ArchiveKind): string {
  return `${archiveDirectory(directory)}/${segmentName(serial).replace(/seg$/, kind)}`;
}

/** `undefined` for any other file. */
export function archivedFile(name: string): { readonly serial: number; readonly kind: ArchiveKind } | undefined {
  const match = NAME.exec(name);
  if (match === null) return undefined;
  // The expression allows no other kinds.
  return { serial: Number(match[1]), kind: match[2] as ArchiveKind };
}
