import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nativeSha256 } from "./native-sha256.ts";

const skipped = process.env.MILLRACE_SKIP_RUST;
const HASH_BYTES = 32;

describe.skipIf(skipped)(`SHA-256 by the native addon${skipped ? ` (skipped: ${skipped})` : ""}`, () => {
  const sha256 = nativeSha256();

  it("is Node's, for messages of any length", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 50 }), (messages) => {
        let end = 0;
        const ends = Uint32Array.from(messages, ({ length }) => {
          end += length;
          return end;
        });
        const hashes = Buffer.alloc(messages.length * HASH_BYTES);
        sha256?.(Buffer.concat(messages), ends, hashes);
        const expected = messages.map((message) => createHash("sha256").update(message).digest());
        expect(hashes).toEqual(Buffer.concat(expected));
      }),
    );
  });

  it("refuses messages that are not within the bytes", () => {
    expect(() => sha256?.(Buffer.alloc(3), Uint32Array.of(4), Buffer.alloc(HASH_BYTES))).toThrow(/ascend/);
    expect(() => sha256?.(Buffer.alloc(3), Uint32Array.of(2, 1), Buffer.alloc(2 * HASH_BYTES))).toThrow(/ascend/);
    expect(() => sha256?.(Buffer.alloc(3), Uint32Array.of(3), Buffer.alloc(1))).toThrow(/32 bytes/);
  });
});
