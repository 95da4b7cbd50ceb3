/** What of a log cannot be read any more, for a person who is to accept it. */
import type { Loss } from "@millrace/streams/embedded";
import { counted, grouped } from "./output.ts";
import { inert } from "./terminal-text.ts";

export function lossText({ code, message, file, offset, from, to, unreadable, streams, bytes }: Loss): string {
  const events = (value: number): string => counted(value, "event");
  const lost = to > from ? `positions ${from} to ${to - 1}, ${events(to - from)}` : "no event that is known";
  const lines = [
    `${code} ${message} (${file}@${offset})`,
    `lost from position ${from} on: ${lost}, ${grouped(bytes)} bytes of blocks`,
    ...streams.map(
      ({ stream, events: count, fromRevision }) => `  ${stream}: ${events(count)} from revision ${fromRevision} on`,
    ),
    ...(unreadable > 0 ? [`  ${events(unreadable)} that cannot be read, so that nobody knows of which streams`] : []),
  ];
  // Clients call their streams what they like; a line end in a name would look like a line of ours.
  return lines.map((line) => inert(line).replaceAll("\n", "\\n")).join("\n");
}
