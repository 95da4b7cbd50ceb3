/** Coordination among the processes of one machine. */
export { type DirectoryCoordinationOptions, openDirectoryCoordination } from "./directory-coordination.ts";
