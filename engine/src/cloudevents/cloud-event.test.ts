import { describe, expect, test } from "vitest";
import { MillraceError, reportOf } from "../errors.ts";
import type { Json, JsonObject } from "../frame/json.ts";
import { readCloudEvent } from "./cloud-event.ts";
import {
  cloudEventFromEnvelope,
  cloudEventFromHeaders,
  cloudEventToHeaders,
  hasCloudEventHeaders,
} from "./cloud-event-headers.ts";

const EVENT = { specversion: "1.0", id: "1", source: "/shop", type: "order.made" };

describe("an event", () => {
  test("is a message without what is not set, with an id made of source and id", () => {
    const full = {
      ...EVENT,
      time: "2026-02-28T23:59:60.123456789+01:00",
      subject: "a b",
      datacontenttype: "application/json; charset=utf-8",
      dataschema: "https://x/schema#1",
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      count: 7,
      isnew: true,
      data: null,
    };
    expect(readCloudEvent({ ...full, partitionkey: null }, "in")).toEqual({ event: full, id: '["/shop","1"]' });
    const other = readCloudEvent({ ...EVENT, source: "/shop2", data_base64: "AQI=" }, "in");
    expect(other).not.toMatchObject({ id: '["/shop","1"]' });
  });

  test.each<readonly [string, JsonObject]>([
    ["specversion", { specversion: "0.3" }],
    ["id", { id: "" }],
    ["id", { id: 1 }],
    ["id", { id: null }],
    ["source", { source: "two words" }],
    ["source", { source: "%zz" }],
    ["source", { source: "/é" }],
    ["type", { type: null }],
    ["time", { time: "2026-02-30T00:00:00Z" }],
    ["time", { time: "2026-02-01 00:00" }],
    ["time", { time: 1_700_000_000 }],
    ["subject", { subject: "" }],
    ["datacontenttype", { datacontenttype: "json" }],
    ["dataschema", { dataschema: "/relative" }],
    ["Order", { Order: "x" }],
    ["order_id", { order_id: "x" }],
    ["ratio", { ratio: 0.5 }],
    ["big", { big: 2_147_483_648 }],
    ["list", { list: [] }],
    ["data_base64", { data_base64: "?" }],
    ["data_base64", { data: 1, data_base64: "AQI=" }],
  ])("with a wrong `%s` is refused by its name: %j", (attribute, wrong) => {
    const read = readCloudEvent({ ...EVENT, ...wrong }, "in");
    expect(read).toBeInstanceOf(MillraceError);
    expect(reportOf(read)).toMatchObject({
      code: "CLOUDEVENT-INVALID",
      kind: "rejected",
      details: { attribute },
      place: { stream: "in", path: `/${attribute}` },
    });
  });

  test("is no text, and no list", () => {
    for (const message of ["x", [EVENT], null] as Json[])
      expect(readCloudEvent(message, "in")).toBeInstanceOf(MillraceError);
  });
});

describe("an event in binary mode", () => {
  test("has its attributes as headers that are all ASCII, and comes back as it was", () => {
    for (const event of [
      { ...EVENT, subject: 'Euró "100%" 🙂 ~', data: { név: "ő" } },
      { ...EVENT, datacontenttype: "text/plain", data: "tea" },
      { ...EVENT, datacontenttype: "application/json", data: "tea" },
    ]) {
      const { headers, body } = cloudEventToHeaders(event);
      expect(Object.values(headers).join("")).toMatch(/^[\x20-\x7e]*$/);
      const text = Buffer.from(body).toString("utf8");
      const data = headers["content-type"] === "text/plain" ? text : (JSON.parse(text) as Json);
      const back = cloudEventFromHeaders({ ...headers, host: "x" }, data, true);
      expect(back).toEqual({ datacontenttype: "application/json", ...event });
    }
    expect(cloudEventToHeaders({ ...EVENT, data_base64: "AQI=" }).body).toEqual(Buffer.from([1, 2]));
    expect(cloudEventToHeaders(EVENT)).toMatchObject({ body: new Uint8Array(), headers: { "ce-id": "1" } });
  });

  test.each(["ce_", "ce-", "cloudEvents:", "cloudEvents_"])(
    "is read from a broker's headers with the prefix %s",
    (prefix) => {
      const headers = Object.fromEntries(Object.entries(EVENT).map(([name, value]) => [prefix + name, value]));
      const event = { ...EVENT, datacontenttype: "application/json", data: { n: 1 } };
      const named = { ...headers, "content-type": "application/json", other: "x" };
      expect(cloudEventFromEnvelope({ topic: "t", headers: named, value: { n: 1 } })).toEqual(event);
      expect(cloudEventFromEnvelope({ subject: "s", headers: named, data: { n: 1 } })).toEqual(event);
    },
  );

  test("is not what a body in structured mode is, whose attributes are repeated in headers", () => {
    const headers = { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t" };
    const type = "application/cloudevents+json; charset=utf-8";
    expect(hasCloudEventHeaders({ ...headers, "content-type": type })).toBe(false);
    expect(hasCloudEventHeaders({ ...headers, "content-type": "application/cloudevents-batch+json" })).toBe(false);
    expect(hasCloudEventHeaders({ ...headers, "content-type": "application/json" })).toBe(true);
    const row = { topic: "t", headers: { ...headers, "content-type": type }, value: EVENT };
    expect(cloudEventFromEnvelope(row)).toEqual(EVENT);
  });

  test("is read from headers whose names a sender has written with capitals", () => {
    const headers = { "Ce-Specversion": "1.0", "Ce-Id": "1", "Ce-Source": "/s", "Ce-Type": "t" };
    const event = { specversion: "1.0", id: "1", source: "/s", type: "t", data: 1 };
    expect(cloudEventFromEnvelope({ subject: "s", headers, data: 1 })).toEqual(event);
  });

  test("is the body of a broker's message whose headers say nothing, and a row without headers is left as it is", () => {
    expect(cloudEventFromEnvelope({ topic: "t", headers: { a: "b" }, value: EVENT })).toEqual(EVENT);
    expect(cloudEventFromEnvelope(EVENT)).toEqual(EVENT);
  });
});
