/** Who gave a command, as events say it: the user of this machine. */
import { userInfo } from "node:os";

/** In a container the user is often a number that the machine has no name for. */
export function machineUser(lookUp: () => { readonly username: string } = userInfo): string {
  try {
    return lookUp().username;
  } catch {
    return `uid ${process.getuid?.() ?? "unknown"}`;
  }
}
