import { expect, it } from "vitest";
import { tell } from "./form.ts";
import { cutPowerOfLog } from "./log-power-cut.mjs";
import { whyNot } from "./power.mjs";

/** `LOG_POWER_CUTS=200` is the long form; `MILLRACE_SKIP_POWER_CUT=reason` skips. */
const CUTS = Number(process.env.LOG_POWER_CUTS ?? 5);
const reason = whyNot();

it.skipIf(reason !== undefined)(
  `loses nothing acknowledged over ${CUTS} power cuts${reason === undefined ? "" : ` (skipped: ${reason})`}`,
  async (context) => {
    const { acknowledged, events, lost, cuts, tailsCut } = await cutPowerOfLog(CUTS);
    expect({ cuts, lost }).toEqual({ cuts: CUTS, lost: 0 });
    expect(acknowledged).toBeGreaterThan(0);
    expect(events).toBeGreaterThanOrEqual(acknowledged);
    tell(context, `${cuts} power cuts, ${acknowledged} acknowledged, ${lost} lost, ${tailsCut} torn tails cut`);
  },
  CUTS * 60_000,
);
