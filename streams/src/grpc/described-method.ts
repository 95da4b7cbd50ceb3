/** A method of a service, as the description of the service says it. */
import { messageOf, type Place } from "@millrace/engine";
import protobuf, { type Method, type NamespaceBase, type Root } from "protobufjs";
import { describedRoot } from "../registry/protobuf-descriptor.ts";
import { parsedFile } from "../registry/protobuf-schema.ts";
import { grpcError } from "./errors.ts";
import { MessageForm } from "./message-form.ts";

/** The text of a .proto with what gives the files that it imports, or a set of descriptors. */
export type ServiceDescription =
  | { readonly text: string; readonly imported: (name: string) => string | undefined }
  | { readonly set: Uint8Array };

export interface ServiceMethod {
  /** As it is called: `/package.Service/Method`. */
  readonly path: string;
  readonly request: MessageForm;
  readonly answer: MessageForm;
  /** Requests are streamed. */
  readonly takesMany: boolean;
  /** Answers are streamed. */
  readonly givesMany: boolean;
}

export interface MethodPlaces {
  readonly description: Place;
  readonly address: Place;
}

/** @throws GRPC-SCHEMA the description is none, or has no such method */
export function serviceMethod(
  description: ServiceDescription,
  service: string,
  method: string,
  places: MethodPlaces,
): ServiceMethod {
  const root = rootOf(description, places.description);
  const found = methodOf(root, service, method, places.address);
  found.resolve();
  const { resolvedRequestType: request, resolvedResponseType: answer } = found;
  if (request === null || answer === null)
    throw grpcError("GRPC-SCHEMA", `the messages of ${service}/${method} are not there`, { place: places.description });
  return {
    path: `/${service}/${method}`,
    request: new MessageForm(request),
    answer: new MessageForm(answer),
    takesMany: found.requestStream === true,
    givesMany: found.responseStream === true,
  };
}

function rootOf(description: ServiceDescription, place: Place): Root {
  try {
    return "set" in description
      ? describedRoot(description.set)
      : parsedFile(description.text, description.imported).root;
  } catch (cause) {
    throw grpcError("GRPC-SCHEMA", `the description of the service cannot be used: ${messageOf(cause)}`, {
      place,
      cause,
    });
  }
}

function methodOf(root: Root, service: string, method: string, place: Place): Method {
  const services = servicesIn(root);
  const found = services.get(service);
  if (found === undefined) {
    const known = [...services.keys()].join(", ") || "none";
    throw grpcError("GRPC-SCHEMA", `there is no service ${service} in its description; there are ${known}`, { place });
  }
  const { methods } = found;
  const own = Object.hasOwn(methods, method) ? methods[method] : undefined;
  if (own !== undefined) return own;
  const known = Object.keys(methods).join(", ") || "none";
  throw grpcError("GRPC-SCHEMA", `service ${service} has no method ${method}; it has ${known}`, { place });
}

function servicesIn(scope: NamespaceBase): Map<string, protobuf.Service> {
  const found = new Map<string, protobuf.Service>();
  for (const nested of scope.nestedArray) {
    if (nested instanceof protobuf.Service) found.set(nested.fullName.replace(/^\./, ""), nested);
    else if (nested instanceof protobuf.Namespace) for (const [name, one] of servicesIn(nested)) found.set(name, one);
  }
  return found;
}
