/** Methods of gRPC services. Every export is listed by name. */

export { type MethodPlaces, type ServiceDescription, type ServiceMethod, serviceMethod } from "./described-method.ts";
export { grpcError } from "./errors.ts";
export { type GrpcFeedOptions, type GrpcSinkOptions, grpcFeed, grpcSink } from "./grpc-connectors.ts";
export type { GrpcTls } from "./grpc-link.ts";
export { INTAKE_PROTO, type IntakeFeedOptions, intakeFeed } from "./intake-feed.ts";
