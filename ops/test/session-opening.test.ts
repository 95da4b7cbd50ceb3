import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { freePort } from "../services/free-port.ts";
import { openSession } from "../src/cli/session.ts";
import { dataDirectory } from "../src/host/data-directory.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "millrace-session-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

it("a session that cannot be opened whole listens nowhere", async () => {
  const data = join(directory, "data");
  const file = join(directory, "graph.yaml");
  writeFileSync(
    file,
    'name: g\nnodes:\n  in: { kind: source, from: "http:/in" }\n  out: { kind: sink, input: in, to: "projection:p" }\n',
  );
  const port = await freePort();
  // Where the folder of the socket for the log's keepers would be made.
  mkdirSync(data);
  writeFileSync(dataDirectory(data).care, "");
  const opening = openSession({ files: [file], data, port: 0, eventStore: { port }, untilDone: false });
  await expect(opening).rejects.toMatchObject({ code: "HOST-CARE" });
  const other = createServer().listen(port, "127.0.0.1");
  await once(other, "listening");
  other.close();
});
