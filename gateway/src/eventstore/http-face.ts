/** What clients and their tests ask of the same port over HTTP/1.1: whether the server is alive, and what it is. */
import type { IncomingMessage, ServerResponse } from "node:http";

/** Answers one request. @param version of Millrace */
export function httpFace(version: string): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    const path = request.url?.split("?", 1)[0];
    if (request.method !== "GET" && request.method !== "HEAD") answer(response, 405, "this port speaks gRPC");
    else if (path === "/health/live") answer(response, 204, "");
    else if (path === "/info")
      answer(response, 200, JSON.stringify({ server: "Millrace", version }), "application/json");
    else answer(response, 404, "this port speaks gRPC; the console and the HTTP API have a port of their own");
  };
}

function answer(response: ServerResponse, status: number, body: string, type = "text/plain"): void {
  response.writeHead(status, { ...(body === "" ? {} : { "content-type": type }), connection: "close" });
  response.end(body);
}
