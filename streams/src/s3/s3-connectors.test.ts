import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { parseS3Address, reportOf, systemEnv } from "@millrace/engine";
import { expect, onTestFinished, test } from "vitest";
import { s3Source } from "./s3-connectors.ts";

const ROWS = '{"id":1}\n';
const ETAG = '"1"';
const LISTING = `<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>in/a.ndjson</Key><ETag>${ETAG}</ETag><Size>${ROWS.length}</Size></Contents></ListBucketResult>`;

/** A service that answers whatever it is asked, but begins its first listing and never ends it. */
async function serviceOf(): Promise<string> {
  let listings = 0;
  const list = (response: ServerResponse): void => {
    if (listings++ === 0) response.write(LISTING.slice(0, 20));
    else response.end(LISTING);
  };
  const server = createServer(({ method, url = "" }, response) => {
    if (method === "HEAD") response.end();
    else if (url.includes("list-type")) list(response);
    else response.writeHead(206, { etag: ETAG }).end(ROWS);
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test("a request that falls silent is given up after as long as a silent connection is, though probes are answered", async () => {
  const address = parseS3Address(`//bucket/in/?endpoint=${await serviceOf()}`, "source");
  if ("fault" in address) throw new Error(address.fault);
  const policy = { probeEveryMs: 50, probeTimeoutMs: 1500 };
  const source = s3Source(address, systemEnv(), { policy });
  const reader = await source.open("0", -1);
  onTestFinished(() => reader.close());
  expect(await reader.read(10).catch(reportOf)).toMatchObject({ code: "SOURCE-FAILED", kind: "transient" });
  expect(source.connection?.()).toMatchObject({ state: "up", connects: 1 });
  const read = await reader.read(10);
  expect(typeof read === "string" ? read : read.batch.rows()).toEqual([{ id: 1 }]);
});
