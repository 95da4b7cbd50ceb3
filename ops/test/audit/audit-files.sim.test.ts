import { SimulatedMount } from "@millrace/engine/testing";
import { type AuditFiles, auditFiles } from "@millrace/projections";
import { beforeAll, describe, expect, it } from "vitest";
import { AUDIT, AuditMachine } from "./audit-machine.ts";

const SECRET = Buffer.from("a secret");

describe("the public files of a tree", () => {
  const machine = new AuditMachine("public files");
  let files: AuditFiles;
  const read = (name: string): ReturnType<AuditFiles["read"]> => machine.env.until(files.read(name));

  beforeAll(async () => {
    const process = await machine.open();
    await machine.env.until(machine.work(process, 300));
    const { id } = process.log;
    await machine.close(process);
    for (const name of ["checkpoint.tmp", "cosigned/0a1b2c3d.tmp", "tile/0/notes", "level-9"])
      machine.disk.put(`${AUDIT}/${id}/${name}`, SECRET);
    machine.disk.put(`${AUDIT}/${id}/cosigned/0a1b2c3d`, Buffer.from("a cosigned checkpoint"));
    files = auditFiles(new SimulatedMount(machine.disk), AUDIT, id);
  });

  it("are checkpoint, key and cosigned checkpoints, which change", async () => {
    for (const name of ["checkpoint", "verifier-key", "cosigned/0a1b2c3d"]) {
      const file = await read(name);
      expect(file?.isTile).toBe(false);
      expect(Buffer.from(file?.bytes ?? []).toString("utf8")).toBe(machine.text(name));
    }
    expect(await read("checkpoint-cosigned")).toBeUndefined();
  });

  it("are the tiles of every size up to now, which do not", async () => {
    expect([...files.tileNames(300)]).toEqual(["tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1"]);
    for (const [name, hashes] of [
      ["tile/0/000", 256],
      ["tile/0/000.p/255", 255],
      ["tile/0/001.p/44", 44],
      ["tile/0/001.p/1", 1],
      ["tile/1/000.p/1", 1],
    ] as const)
      expect(await read(name)).toMatchObject({ isTile: true, bytes: { length: 32 * hashes } });
    for (const name of ["tile/0/001", "tile/0/001.p/45", "tile/0/002.p/1", "tile/1/000.p/2", "tile/2/000.p/1"])
      expect(await read(name), name).toBeUndefined();
  });

  it.each([
    "signing-key.pem",
    "/signing-key.pem",
    "tile/../signing-key.pem",
    "tile/0/../../signing-key.pem",
    "cosigned/../signing-key.pem",
    "cosigned/0a1b2c3d.tmp",
    "checkpoint.tmp",
    "checkpoint/",
    "frontier",
    "level-0",
    "level-9",
    "tile/9/000",
    "tile/0/notes",
    "tile/0/",
    "",
  ])("do not include %j", async (name) => {
    expect(await read(name)).toBeUndefined();
  });
});
