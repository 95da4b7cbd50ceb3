import { expect, it } from "vitest";
import { tell } from "./form.ts";
import { killLog } from "./log-kill.mjs";

/** `LOG_KILLS=1000` is the long form. */
const KILLS = Number(process.env.LOG_KILLS ?? 5);

it(
  `loses nothing acknowledged and doubles nothing over ${KILLS} kills of an appending process`,
  async (context) => {
    const { acknowledged, events, lost, kills, tailsCut } = await killLog(KILLS);
    expect({ kills, lost }).toEqual({ kills: KILLS, lost: 0 });
    expect(acknowledged).toBeGreaterThan(0);
    expect(events).toBeGreaterThanOrEqual(acknowledged);
    tell(context, `${kills} kills, ${acknowledged} acknowledged, ${lost} lost, ${tailsCut} torn tails cut`);
  },
  KILLS * 30_000,
);
