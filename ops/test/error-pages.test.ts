import { expect, it } from "vitest";
import { allCodes, declaredCodes, errorPage } from "./error-pages.ts";

it("every code of every workspace is documented, and the page is fresh (npm run docs:errors)", async () => {
  const codes = await allCodes();
  expect(codes).toEqual(declaredCodes());
  await expect(errorPage(codes)).toMatchFileSnapshot("../docs/errors/README.md");
});
