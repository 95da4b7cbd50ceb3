/**
 * Takes the definition levels out of pages that have no nulls. A Parquet column that may have nulls says for every value that
 * it is there, and the decoder then rebuilds each value's nesting: more than half of its time for a flat column without nulls.
 * Such a column is read as if it were required: the levels, one run of ones in front of the values of a page, are removed when
 * the page is decompressed. Every page is checked; what does not look exactly so is read in the ordinary way instead.
 */
import type { ColumnMetaData, Compressors, FileMetaData, SchemaElement } from "hyparquet";
import { compressors } from "hyparquet-compressors";

/** How to read one column of one row group. */
export interface RequiredRead {
  readonly metadata: FileMetaData;
  readonly compressors: Compressors;
  /** Whether all of `n` values were seen to be there. Otherwise what was read is worthless. */
  isSound(n: number): boolean;
}

/** `undefined` when the file does not promise that the column has no nulls, or has no compressed pages to take levels out of. */
export function requiredRead(
  metadata: FileMetaData,
  element: SchemaElement,
  chunk: ColumnMetaData | undefined,
): RequiredRead | undefined {
  if (element.repetition_type !== "OPTIONAL" || chunk?.path_in_schema.length !== 1) return undefined;
  const decompress = compressors[chunk.codec];
  if (chunk.statistics?.null_count !== 0n || chunk.codec === "UNCOMPRESSED" || decompress === undefined)
    return undefined;
  let values = 0;
  let isDictionary = chunk.encodings.some((encoding) => encoding.endsWith("_DICTIONARY"));
  const strip = (compressed: Uint8Array, length: number): Uint8Array => {
    const page = decompress(compressed, length) as Uint8Array;
    // The dictionary page comes first and has no levels.
    if (!isDictionary) values += takeLevels(page);
    isDictionary = false;
    return page;
  };
  return {
    metadata: replaced(metadata, element, { ...element, repetition_type: "REQUIRED" }),
    compressors: { [chunk.codec]: strip },
    isSound: (n) => values === n,
  };
}

/**
 * Moves the values of a page to its front and returns how many levels said that a value is there; 0 for a page whose levels
 * are anything but one run of ones (RLE hybrid: length in 4 bytes, run length × 2 as a varint, one byte of value).
 */
function takeLevels(page: Uint8Array): number {
  const length = (page[0] ?? 0) | ((page[1] ?? 0) << 8) | ((page[2] ?? 0) << 16) | ((page[3] ?? 0) << 24);
  let at = 4;
  let header = 0;
  for (let shift = 0; shift < 28; shift += 7) {
    const byte = page[at++] ?? 0;
    header |= (byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  const isRunOfOnes = (header & 1) === 0 && page[at] === 1 && at + 1 === 4 + length;
  if (!isRunOfOnes) return 0;
  // The page keeps its length, which the decoder checks; it does not read behind the last value.
  page.copyWithin(0, at + 1);
  return header >> 1;
}

/** The same file with another description of one of its columns. */
export function replaced(metadata: FileMetaData, element: SchemaElement, by: SchemaElement): FileMetaData {
  return { ...metadata, schema: metadata.schema.map((other) => (other === element ? by : other)) };
}
