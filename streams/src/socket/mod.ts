/** A transport over Unix sockets and TCP. */
export {
  openSocketTransport,
  type SocketAddress,
  type SocketTransport,
  type SocketTransportOptions,
} from "./socket-transport.ts";
