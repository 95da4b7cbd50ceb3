import { expect, it } from "vitest";
import { killLog } from "./log-kill.mjs";

/** `LOG_KILLS=1000` is the long form. */
const KILLS = Number(process.env.LOG_KILLS ?? 10);

it(
  `loses nothing acknowledged and doubles nothing over ${KILLS} kills of an appending process`,
  async () => {
    const { acknowledged, events, lost, kills } = await killLog(KILLS);
    expect({ kills, lost }).toEqual({ kills: KILLS, lost: 0 });
    expect(acknowledged).toBeGreaterThan(0);
    expect(events).toBeGreaterThanOrEqual(acknowledged);
  },
  KILLS * 30_000,
);
