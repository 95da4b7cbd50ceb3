import { Type } from "typebox";

export const LiveAnswer = Type.Object({ status: Type.String({ enum: ["ok"] }) });

export const HealthAnswer = Type.Object({
  status: Type.String({ enum: ["ok", "not-ready"] }),
  version: Type.String(),
  host: Type.String(),
  uptimeSeconds: Type.Number(),
  position: Type.Integer({ description: "Position after the newest durable event." }),
  checks: Type.Array(Type.Object({ name: Type.String(), ok: Type.Boolean(), detail: Type.String() })),
});
