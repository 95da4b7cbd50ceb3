/** Version of Millrace, as all workspaces have it. */
export const VERSION = "0.1.0";
