import { Webhook } from "standardwebhooks";
import { expect, onTestFinished, test, vi } from "vitest";
import { WebhookKeys } from "./webhook-keys.ts";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
const NOW_MS = 1_700_000_000_000;
const BODY = '[{"név":"ő"}]';

function keysOf(text: string): WebhookKeys {
  const keys = WebhookKeys.parse(text);
  if ("fault" in keys) throw new Error(keys.fault);
  return keys;
}

test("signs what the scheme's own library verifies, and verifies what that signs", () => {
  const foreign = new Webhook(SECRET);
  // The library looks at the machine's clock.
  const nowMs = Date.UTC(2026, 0, 1);
  vi.useFakeTimers({ toFake: ["Date"], now: nowMs });
  onTestFinished(() => void vi.useRealTimers());
  expect(foreign.verify(BODY, { ...keysOf(SECRET).sign("msg_1", nowMs, BODY) })).toEqual(JSON.parse(BODY));
  const headers = {
    "webhook-id": "msg_2",
    "webhook-timestamp": String(Math.floor(nowMs / 1000)),
    "webhook-signature": foreign.sign("msg_2", new Date(nowMs), BODY),
  };
  expect(keysOf(SECRET).verify(headers, Buffer.from(BODY), nowMs)).toEqual({ id: "msg_2" });
});

test("the example of the specification has the signature that is printed there", () => {
  const body = '{"test": 2432232314}';
  expect(keysOf(SECRET).sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330_000, body)["webhook-signature"]).toBe(
    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  );
});

test("another body, id, time, key, header or none of them is refused, and says why", () => {
  const keys = keysOf(SECRET);
  const signed = keys.sign("msg_1", NOW_MS, BODY);
  const fault = (headers: object, body = BODY): unknown => {
    const verdict = keys.verify({ ...signed, ...headers }, body, NOW_MS);
    return "fault" in verdict ? verdict.fault : verdict;
  };
  expect(fault({})).toEqual({ id: "msg_1" });
  expect(fault({}, `${BODY} `)).toBe("wrong");
  expect(fault({ "webhook-id": "msg_2" })).toBe("wrong");
  expect(fault({ "webhook-timestamp": String(NOW_MS / 1000 + 1) })).toBe("wrong");
  expect(fault({ "webhook-timestamp": "1.7e9" })).toBe("wrong");
  expect(fault(keysOf(OTHER).sign("msg_1", NOW_MS, BODY))).toBe("wrong");
  expect(fault({ "webhook-signature": (signed["webhook-signature"] as string).replace("v1,", "v2,") })).toBe("wrong");
  expect(fault({ "webhook-signature": `${signed["webhook-signature"]}=` })).toBe("wrong");
  for (const name of Object.keys(signed)) expect(fault({ [name]: undefined })).toBe("missing");
});

test("a time more than five minutes away is stale, before and after", () => {
  const keys = keysOf(SECRET);
  const signed = keys.sign("msg_1", NOW_MS, BODY);
  for (const awayMs of [-300_000, 0, 300_000]) expect(keys.verify(signed, BODY, NOW_MS + awayMs)).toHaveProperty("id");
  for (const awayMs of [-300_001, 300_001])
    expect(keys.verify(signed, BODY, NOW_MS + awayMs)).toMatchObject({ fault: "stale" });
});

test("bytes cannot be moved between id, time and body", () => {
  const keys = keysOf(SECRET);
  const signed = keys.sign("a", NOW_MS, `${NOW_MS / 1000}.[1]`);
  const moved = { ...signed, "webhook-id": `a.${NOW_MS / 1000}` };
  expect(keys.verify(moved, "[1]", NOW_MS)).toMatchObject({ fault: "wrong" });
});

test("while secrets are exchanged, each of them is enough", () => {
  const both = keysOf(`${SECRET} ${OTHER}`);
  for (const secret of [SECRET, OTHER]) {
    const one = keysOf(secret);
    expect(one.verify(both.sign("m", NOW_MS, BODY), BODY, NOW_MS)).toEqual({ id: "m" });
    expect(both.verify(one.sign("m", NOW_MS, BODY), BODY, NOW_MS)).toEqual({ id: "m" });
  }
});

test("a secret that is none is refused without being shown, and one that is is not shown either", () => {
  for (const text of [
    "",
    "secret",
    "whsec_c2hvcnQ=",
    `${SECRET} secret`,
    `whsec_${Buffer.alloc(65).toString("base64")}`,
  ])
    expect(WebhookKeys.parse(text)).toEqual({ fault: expect.stringMatching(/^expected `whsec_` and 24 to 64 bytes/) });
  expect(JSON.stringify(keysOf(SECRET))).toBe("{}");
});
