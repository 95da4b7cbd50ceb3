import { expect, it } from "vitest";
import { lossText } from "./loss-text.ts";

it("streams that are lost are named, and their names cannot steer the terminal nor look like another line", () => {
  const streams = [{ stream: "evil\u001b[2J\nok: nothing is lost", events: 1, fromRevision: 3 }];
  const place = { logId: "l", file: "/log/7", offset: 4096, from: 10, to: 11, bytes: 4096, unreadable: 1 };
  const text = lossText({ code: "LOG-CORRUPT", message: "damaged", ...place, streams } as Parameters<
    typeof lossText
  >[0]);
  expect(text.split("\n")).toEqual([
    "LOG-CORRUPT damaged (/log/7@4096)",
    "lost from position 10 on: positions 10 to 10, 1 event, 4,096 bytes of blocks",
    "  evil\\u001b[2J\\nok: nothing is lost: 1 event from revision 3 on",
    "  1 event that cannot be read, so that nobody knows of which streams",
  ]);
});
