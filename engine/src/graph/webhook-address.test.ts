import { expect, test } from "vitest";
import { webhookUrls } from "./webhook-address.ts";

test.each([
  ["https://h/in?a=1,2", ["https://h/in?a=1,2"]],
  ["http:h/in", ["http:h/in"]],
  [
    "https://a.example,b.example:8443,[::1]/in,out?x=y#z",
    ["https://a.example/in,out?x=y#z", "https://b.example:8443/in,out?x=y#z", "https://[::1]/in,out?x=y#z"],
  ],
  ["http://me,too:p,w@a,b", ["http://me,too:p,w@a", "http://me,too:p,w@b"]],
] as const)("%s is %j", (address, urls) => {
  expect(webhookUrls(address)).toEqual(urls);
});

test.each(["https://", "https://a,/in", "https://a:80,b:port/in", "https://,"])("%s is no address", (address) => {
  expect(webhookUrls(address)).toBeUndefined();
});
