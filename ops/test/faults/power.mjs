/** A file system of its own, on a loop device, whose power can be cut. Needs root, loop devices and gcc. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const IMAGE_MIB = 384;

/** Why this machine cannot do it; `undefined` when it can. */
export function whyNot() {
  if (process.env.MILLRACE_SKIP_POWER_CUT) return process.env.MILLRACE_SKIP_POWER_CUT;
  if (process.platform !== "linux") return "power cuts need Linux";
  if (process.getuid?.() !== 0) return "power cuts need root";
  if (!existsSync("/dev/loop-control")) return "power cuts need loop devices";
  for (const tool of ["gcc", "mkfs.ext4", "mount", "umount"]) {
    try {
      execFileSync("sh", ["-c", `command -v ${tool}`], { stdio: "ignore" });
    } catch {
      return `power cuts need ${tool}`;
    }
  }
  try {
    const volume = new Volume();
    volume.remove();
    return undefined;
  } catch (thrown) {
    return `no ext4 on a loop device here: ${String(thrown.message).split("\n")[0]}`;
  }
}

export class Volume {
  #directory = mkdtempSync(join(tmpdir(), "millrace-power-"));
  #image = join(this.#directory, "image");
  #helper = join(this.#directory, "shutdown");
  path = join(this.#directory, "mounted");

  constructor() {
    try {
      execFileSync("gcc", ["-O1", "-o", this.#helper, fileURLToPath(new URL("./shutdown.c", import.meta.url))]);
      execFileSync("truncate", ["-s", `${IMAGE_MIB}M`, this.#image]);
      execFileSync("mkfs.ext4", ["-q", "-F", this.#image], { stdio: "pipe" });
      mkdirSync(this.path);
      this.mount();
    } catch (thrown) {
      rmSync(this.#directory, { recursive: true });
      throw thrown;
    }
  }

  /** A journal that commits by itself only every five minutes, so that nothing but a sync makes anything durable. */
  mount() {
    execFileSync("mount", ["-o", "loop,commit=300", this.#image, this.path], { stdio: "pipe" });
  }

  /** From here on nothing reaches the medium. */
  cutPower() {
    execFileSync(this.#helper, [this.path]);
  }

  unmount() {
    for (let attempt = 0; ; attempt++) {
      try {
        execFileSync("umount", [this.path], { stdio: "pipe" });
        return;
      } catch (thrown) {
        if (attempt === 50) throw thrown;
        execFileSync("sleep", ["0.1"]);
      }
    }
  }

  remove() {
    this.unmount();
    rmSync(this.#directory, { recursive: true });
  }
}
