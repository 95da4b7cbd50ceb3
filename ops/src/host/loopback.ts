/** What a host's servers listen on: whoever is on another machine goes through something that checks who they are. */
export const LOOPBACK = "127.0.0.1";
