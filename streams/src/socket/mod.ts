/** A transport over Unix sockets and TCP. */
export type { SocketAddress } from "./socket-address.ts";
export {
  openSocketTransport,
  type SocketTransport,
  type SocketTransportOptions,
} from "./socket-transport.ts";
