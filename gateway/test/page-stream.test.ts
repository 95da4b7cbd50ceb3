import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openPageStream } from "../console/src/live/page-stream.ts";

class FakeSource extends EventTarget {
  static readonly CLOSED = 2;
  static readonly all: FakeSource[] = [];
  readyState = 0;
  constructor() {
    super();
    FakeSource.all.push(this);
  }
  close(): void {
    this.readyState = FakeSource.CLOSED;
  }
  refuse(): void {
    this.close();
    this.dispatchEvent(new Event("error"));
  }
}

const isOpen = (): boolean[] => FakeSource.all.map(({ readyState }) => readyState !== FakeSource.CLOSED);
const page = Object.assign(new EventTarget(), { hidden: false });
const show = (isShown: boolean): void => {
  page.hidden = !isShown;
  page.dispatchEvent(new Event("visibilitychange"));
};

beforeEach(() => {
  FakeSource.all.length = 0;
  page.hidden = false;
  vi.stubGlobal("EventSource", FakeSource);
  vi.stubGlobal("document", page);
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const told: string[] = [];
const open = (): (() => void) =>
  openPageStream("/live", {
    on: { page: (data) => told.push(data) },
    lost: () => told.push("lost"),
    refused: () => told.push("refused"),
  });

test("a hidden page has no connection, and another one when it is shown", () => {
  const close = open();
  show(false);
  expect(isOpen()).toEqual([false]);
  show(true);
  expect(isOpen()).toEqual([false, true]);
  close();
  show(true);
  expect(isOpen()).toEqual([false, false]);
});

test("what the server refused is asked for again, until it ends", () => {
  const close = open();
  told.length = 0;
  FakeSource.all[0]?.refuse();
  expect(told).toEqual(["lost", "refused"]);
  vi.runAllTimers();
  expect(isOpen()).toEqual([false, true]);
  FakeSource.all[1]?.dispatchEvent(Object.assign(new Event("page"), { data: "rows" }));
  expect(told.at(-1)).toBe("rows");
  FakeSource.all[1]?.refuse();
  close();
  vi.runAllTimers();
  expect(FakeSource.all.length).toBe(2);
});
