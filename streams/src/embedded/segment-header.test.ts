import { expect, it } from "vitest";
import { crc32c } from "./crc32c.ts";
import { viewOf } from "./little-endian.ts";
import { decodeSegmentHeader, encodeSegmentHeader } from "./segment-header.ts";

it("refuses another format by the file that has it", () => {
  const header = { logId: "00".repeat(16), serial: 7, salt: new Uint8Array(8), sizeBytes: 1 << 20 };
  const bytes = encodeSegmentHeader(header, crc32c);
  expect(decodeSegmentHeader(bytes, crc32c)).toMatchObject({ serial: 7 });
  const view = viewOf(bytes);
  view.setUint16(4, 2, true);
  view.setUint32(48, crc32c(view, 0, 48), true);
  expect(() => decodeSegmentHeader(bytes, crc32c, "log/7.seg")).toThrow(
    expect.objectContaining({ code: "LOG-SCHEMA", place: { file: "log/7.seg" } }),
  );
});
