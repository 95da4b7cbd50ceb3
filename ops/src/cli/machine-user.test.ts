import { expect, test } from "vitest";
import { machineUser } from "./machine-user.ts";

test("a user without a name on this machine is known by its number", () => {
  const nameless = (): never => {
    throw new Error("A system error occurred: uv_os_get_passwd returned ENOENT");
  };
  expect(machineUser(nameless)).toBe(`uid ${process.getuid?.()}`);
  expect(machineUser(() => ({ username: "ann" }))).toBe("ann");
});
