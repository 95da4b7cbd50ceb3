/** The console in a real browser, against a gateway over graphs of plain data that move with the clock. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, join } from "node:path";
import { gzipSync } from "node:zlib";
import type { FastifyInstance } from "fastify";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { ArrayLog } from "./array-log.ts";
import { addLargeGraph, DemoHost } from "./demo-host.ts";
import { deadLetter, FakeDeadLetters, FakeProjections } from "./fake-reads.ts";
import { testGateway } from "./test-gateway.ts";

const skipped = process.env.MILLRACE_SKIP_BROWSER;
const consoleDir = join(import.meta.dirname, "..", "dist-console");
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

function browserPath(): string {
  const names = ["chromium", "chromium-browser", "google-chrome"];
  const places = (process.env.PATH ?? "")
    .split(delimiter)
    .flatMap((directory) => names.map((name) => join(directory, name)));
  const found = places.find((path) => existsSync(path));
  if (!found) throw new Error("no Chromium on PATH; MILLRACE_SKIP_BROWSER=<reason> skips this suite");
  return found;
}

describe.skipIf(skipped)(
  `the console in a browser${skipped ? ` (skipped: ${skipped})` : ""}`,
  { timeout: 60_000 },
  () => {
    const log = new ArrayLog();
    const projections = new FakeProjections();
    const host = new DemoHost(log, projections);
    const deadLetters = new FakeDeadLetters();
    deadLetters.letters = [
      deadLetter(1, { error: { code: "MSG-POISON", kind: "terminal", message: "<img src=x onerror=alert(1)>" } }),
      deadLetter(2),
      deadLetter(3, {
        node: "late",
        error: {
          code: "EXPRESSION-TYPE",
          kind: "terminal",
          message: "delay is text",
          place: { file: "flights.csv", line: 7 },
        },
      }),
    ];
    const faults: string[] = [];
    let app: FastifyInstance;
    let origin = "";
    let browser: Browser;
    let stop: () => void;

    beforeAll(async () => {
      expect(existsSync(join(consoleDir, "index.html")), "the console is built before its tests").toBe(true);
      stop = host.run();
      ({ app } = testGateway({ host, log, projections, deadLetters, consoleDir }));
      origin = await app.listen({ host: "127.0.0.1", port: 0 });
      browser = await chromium.launch({ executablePath: browserPath(), args: FLAGS });
    }, 60_000);

    afterAll(async () => {
      await browser?.close();
      stop?.();
      await app?.close();
    });

    afterEach(async () => {
      for (const context of browser.contexts()) await context.close();
      expect(faults.splice(0)).toEqual([]);
    });

    async function open(path: string, options: BrowserContextOptions = {}, server = origin): Promise<Page> {
      const context = await browser.newContext({
        viewport: { width: 1440, height: 900 },
        colorScheme: "dark",
        ...options,
      });
      const page = await context.newPage();
      page.on("pageerror", (error) => faults.push(String(error)));
      page.on("console", (message) => {
        if (message.type() === "error" && !message.text().startsWith("Failed to load resource"))
          faults.push(message.text());
      });
      await page.goto(server + path);
      return page;
    }

    /** Waits until a text on the page matches. */
    const sees = (page: Page, selector: string, pattern: RegExp): Promise<unknown> =>
      page.waitForFunction(
        ([css, source]) =>
          [...document.querySelectorAll(css as string)].some((one) =>
            new RegExp(source as string).test(one.textContent ?? ""),
          ),
        [selector, pattern.source],
      );

    it("opens on a running graph with its rates", async () => {
      const page = await open("/");
      await page.waitForURL("**/graphs/late-flights");
      await sees(page, ".sentence", /[1-9]\d*.k.msg\/s in/);
      await sees(page, ".clock", /LIVE.*#\d/);
      expect(await page.getAttribute(".canvas", "aria-label")).toContain("7 nodes, 6 edges");
      await sees(page, ".bottlenecks", /by-airport.*CPU: computes/);
      const isPainted = await page.$eval("canvas.canvas", (element) => {
        const canvas = element as HTMLCanvasElement;
        const pixels = canvas.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height).data ?? [];
        return pixels.some((value) => value > 0);
      });
      expect(isPainted).toBe(true);
    });

    it("shows what crosses an edge when a person clicks it, and holds still when frozen", async () => {
      const page = await open("/graphs/late-flights");
      await page.waitForSelector(".canvas");
      await sees(page, ".sentence", /k.msg\/s in/);
      const edge = await page.evaluate(() => {
        const box = document.querySelector(".canvas")?.getBoundingClientRect();
        return { width: box?.width ?? 0, height: box?.height ?? 0, x: box?.x ?? 0, y: box?.y ?? 0 };
      });
      // The first row is level: going along it from the left crosses an edge before long.
      for (let step = 0; step < 400 && !page.url().includes("edge="); step++) {
        const [column, row] = [step % 40, Math.floor(step / 40)];
        await page.mouse.click(edge.x + (edge.width * (column + 1)) / 42, edge.y + edge.height * (0.24 + row * 0.05));
      }
      expect(decodeURIComponent(page.url())).toMatch(/edge=[\w-]+\+->\+[\w-]+/);
      await page.waitForSelector(".messages .message");
      await sees(page, ".peek-head", /sampled 1 : \d/);
      await page.click(".peek-head button");
      const before = await page.textContent(".messages");
      await sees(page, ".peek-head button", /[1-9].*newer/);
      expect(await page.textContent(".messages")).toBe(before);
    });

    it("is reached by keyboard alone: along the flow, into the inspector, and by a table that says the same", async () => {
      const page = await open("/graphs/late-flights");
      await sees(page, ".sentence", /k.msg\/s in/);
      await page.focus(".canvas");
      await page.keyboard.press("ArrowRight");
      await page.waitForURL("**node=flights");
      await page.keyboard.press("ArrowRight");
      await page.waitForURL(/edge=flights/);
      await page.keyboard.press("ArrowRight");
      await page.waitForURL("**node=late");
      await page.keyboard.press("Escape");
      await page.waitForURL("**/late-flights");
      await page.getByRole("button", { name: "Table" }).press("Enter");
      const rows = await page.$$eval(".table-view tbody tr", (all) => all.map((row) => row.textContent ?? ""));
      expect(rows).toHaveLength(13);
      await sees(page, ".table-view tbody tr", /^located → by-airport.*k\/s.*▲ \d\d/);
      await page.getByRole("button", { name: "scored", exact: true }).press("Enter");
      await sees(page, ".side", /scored.*Dead letters3/);
      await sees(page, ".side", /healthy: true[\s\S]*details: {\s+threshold: 15/);
    });

    it("asks why before it changes a graph, and says who did it", async () => {
      const page = await open("/graphs/host-telemetry");
      await page.getByRole("button", { name: "Suspend" }).click();
      await page.getByLabel("Why").fill("maintenance");
      await page.locator("dialog").getByRole("button", { name: "Suspend" }).click();
      await expect
        .poll(() => host.calls.at(-1))
        .toMatchObject({
          verb: "suspend",
          graph: "host-telemetry",
          by: { principal: "console", reason: "maintenance" },
        });
    });

    it("asks for the token where the server has one, and does then what was asked", async () => {
      const guarded = testGateway({ host, log, projections, deadLetters, consoleDir, guard: { token: "secret" } }).app;
      const page = await open("/graphs/host-telemetry", {}, await guarded.listen({ host: "127.0.0.1", port: 0 }));
      await page.getByRole("button", { name: /^(?:Suspend|Resume)$/ }).click();
      await page.getByLabel("Why").fill("maintenance");
      await page.locator("dialog .button-primary").click();
      await page.getByLabel("Token").fill("secret");
      await page.locator("dialog .button-primary").click();
      await page.waitForSelector("dialog", { state: "detached" });
      expect(host.calls.at(-1)).toMatchObject({ graph: "host-telemetry", by: { principal: "token" } });
      await page.context().close();
      await guarded.close();
    });

    it("changes rows of a view in place and says as of which position", async () => {
      const page = await open("/projections/departures");
      await page.waitForSelector(".table tbody tr");
      const first = await page.textContent(".list-head .pill");
      expect(first).toMatch(/as of #\d/);
      await page.$eval(".table tbody tr", (row) => row.setAttribute("data-kept", "yes"));
      await page.waitForFunction((text) => document.querySelector(".list-head .pill")?.textContent !== text, first);
      expect(await page.getAttribute(".table tbody tr", "data-kept")).toBe("yes");
      await page.getByLabel("Filter").fill("note = a=b");
      await page.getByLabel("Filter").press("Enter");
      await page.waitForURL(/where\.note=a%3Db/);
    });

    it("is live at an address that names an edge which a later revision took away", async () => {
      const page = await open("/graphs/late-flights?edge=gone%3Eaway");
      await sees(page, ".clock", /LIVE.*#\d/);
      expect(new URL(page.url()).search).toBe("");
    });

    it("lists events as they come, few elements for many events, and freezes", async () => {
      const page = await open("/events");
      await page.waitForSelector(".event-row");
      const newest = await page.textContent(".event-position");
      await page.waitForFunction((text) => document.querySelector(".event-position")?.textContent !== text, newest);
      expect(await page.locator(".event-row").count()).toBeLessThanOrEqual(60);
      await page.getByRole("button", { name: "Freeze" }).click();
      await sees(page, ".list-head button", /[1-9]\d* newer/);
      await page.locator(".event-row").first().click();
      await sees(page, ".side", /Correlation[\s\S]*Payload[\s\S]*emitted/);
      await page.getByLabel("Type").fill("Nothing");
      await page.getByLabel("Type").press("Enter");
      await page.waitForURL(/type=Nothing/);
      await sees(page, ".empty", /No events/);
    });

    it("shows dead letters as text, whatever they say, and sends a group again", async () => {
      const page = await open("/dead-letters");
      await sees(page, ".group", /MSG-POISON.*scored/);
      await sees(page, ".letter-error", /<img src=x/);
      await sees(page, ".facts", /Fileflights\.csv:7/);
      expect(await page.locator(".group img").count()).toBe(0);
      await page.getByRole("button", { name: "Send all again…" }).first().click();
      await page.getByLabel("Why").fill("fixed upstream");
      await page.getByRole("button", { name: "Send again", exact: true }).click();
      await expect
        .poll(() => host.calls.at(-1))
        .toMatchObject({
          verb: "redrive",
          ids: [deadLetter(1).id, deadLetter(2).id],
          by: { reason: "fixed upstream" },
        });
    });

    it("says so when what it shows is no longer live, and comes back by itself", async () => {
      const page = await open("/graphs/late-flights");
      await sees(page, ".clock", /LIVE/);
      await page.context().setOffline(true);
      app.server.closeAllConnections();
      await sees(page, ".clock", /NOT LIVE.*last seen/);
      await page.context().setOffline(false);
      await sees(page, ".clock", /LIVE #/);
    });

    it("tells a newcomer what to do when nothing runs", async () => {
      const empty = testGateway({ consoleDir });
      empty.host.graphs.clear();
      const address = await empty.app.listen({ host: "127.0.0.1", port: 0 });
      const page = await (await browser.newContext()).newPage();
      await page.goto(address);
      await sees(page, ".empty", /No graph is running[\s\S]*millrace run/);
      await page.close();
      await empty.app.close();
    });

    const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
    const pages = [
      "/graphs",
      "/graphs/late-flights",
      "/graphs/late-flights?edge=located+-%3E+by-airport",
      "/graphs/late-flights?view=table&node=scored",
      "/events?at=5",
      "/projections",
      "/projections/departures",
      "/dead-letters",
      "/host",
      "/nowhere",
    ];
    it("is called after what it shows", async () => {
      const page = await open("/events");
      await expect.poll(() => page.title()).toBe("Events · Millrace");
      await page.goto(`${origin}/projections/departures`);
      await expect.poll(() => page.title()).toBe("departures · Projections · Millrace");
    });

    it("says of a graph that is not there that nothing is live", async () => {
      const page = await open("/graphs/nowhere");
      await sees(page, ".notice", /there is no graph nowhere/);
      await sees(page, ".clock", /NOT LIVE/);
    });

    it.each([
      ["dark", 1440],
      ["light", 1440],
      ["light", 420],
    ] as const)(
      "has no serious accessibility fault in %s at %i pixels",
      async (colorScheme, width) => {
        const found: string[] = [];
        const page = await open("/", { colorScheme, viewport: { width, height: 900 }, reducedMotion: "reduce" });
        for (const path of pages) {
          await page.goto(origin + path);
          await sees(page, ".clock", /LIVE/);
          if (path.startsWith("/graphs/")) await sees(page, ".sentence", /msg\/s in/);
          if (path.includes("edge=")) await page.waitForSelector(".messages .message");
          await page.waitForFunction(() => document.getAnimations().every(({ playState }) => playState !== "running"));
          await page.evaluate(axe);
          const violations = await page.evaluate(async () => {
            const { axe: checker } = window as unknown as {
              axe: {
                run(
                  options: object,
                ): Promise<{ violations: { id: string; impact: string; nodes: { html: string }[] }[] }>;
              };
            };
            return (await checker.run({ resultTypes: ["violations"] })).violations.filter(
              ({ impact }) => impact === "serious" || impact === "critical",
            );
          });
          found.push(
            ...violations.map(
              ({ id, nodes }) => `${path} ${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`,
            ),
          );
        }
        expect(found).toEqual([]);
      },
      90_000,
    );

    it("draws 500 nodes and 2000 edges with few elements and little script", async () => {
      let seconds = 0;
      addLargeGraph(host, 500, 2000, seconds);
      const moving = setInterval(() => {
        seconds += 0.25;
        addLargeGraph(host, 500, 2000, seconds);
      }, 250);
      try {
        const page = await open("/graphs/large");
        await sees(page, ".side", /Edges2.000/);
        const client = await page.context().newCDPSession(page);
        // Of the thread's own time: a browser that others keep from the processor is not slow.
        await client.send("Performance.enable", { timeDomain: "threadTicks" });
        const read = async (): Promise<Record<string, number>> => {
          const { metrics } = await client.send("Performance.getMetrics");
          return Object.fromEntries(metrics.map(({ name, value }) => [name, value]));
        };
        const shares: { script: number; task: number }[] = [];
        for (let window = 0; window < 3; window++) {
          const before = await read();
          await page.waitForTimeout(2000);
          const after = await read();
          const of = (name: string): number =>
            ((after[name] ?? 0) - (before[name] ?? 0)) / ((after.Timestamp ?? 0) - (before.Timestamp ?? 0));
          shares.push({ script: of("ScriptDuration"), task: of("TaskDuration") });
        }
        const elements = await page.evaluate(() => document.querySelectorAll(".stage *").length);
        const median = shares.map(({ script }) => script).sort((a, b) => a - b)[1] as number;
        console.log(
          `500 nodes, 2000 edges: ${elements} elements; main thread ${shares.map(({ script, task }) => `${(script * 100).toFixed(1)} % script, ${(task * 100).toFixed(1)} % task`).join("; ")}`,
        );
        expect(elements).toBeLessThanOrEqual(100);
        expect(median).toBeLessThanOrEqual(0.2);
      } finally {
        clearInterval(moving);
        host.graphs.delete("large");
      }
    });

    it("loads at most 300 kB of script, compressed", () => {
      const assets = join(consoleDir, "assets");
      const scripts = readdirSync(assets).filter((name) => name.endsWith(".js"));
      const bytes = scripts.reduce((sum, name) => sum + gzipSync(readFileSync(join(assets, name))).byteLength, 0);
      expect(scripts.length).toBeGreaterThan(0);
      expect(bytes).toBeLessThanOrEqual(300_000);
    });
  },
);
