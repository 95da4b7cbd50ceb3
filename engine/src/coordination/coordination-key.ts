import { coordinationError } from "./coordination-errors.ts";

const KEY = /^[A-Za-z0-9._/-]{1,200}$/;

/** @throws COORDINATION-KEY */
export function checkCoordinationKey(key: string): void {
  if (!KEY.test(key)) throw coordinationError("COORDINATION-KEY", `${JSON.stringify(key.slice(0, 300))} is not a key`);
}
