export type SocketAddress = { readonly path: string } | { readonly host: string; readonly port: number };
