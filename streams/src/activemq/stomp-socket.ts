/** A TCP or TLS connection in the shape that the STOMP client wants, which is a WebSocket's. */
import type { Socket } from "node:net";
import { type IStompSocket, StompSocketState } from "@stomp/stompjs";

export class StompSocket implements IStompSocket {
  readonly url = "";
  onopen: IStompSocket["onopen"];
  onmessage: IStompSocket["onmessage"];
  onerror: IStompSocket["onerror"];
  onclose: IStompSocket["onclose"];
  readonly #socket: Socket;
  #isOpen = false;
  #isCorked = false;

  /** @param opened the event after which `socket` can be written to */
  constructor(socket: Socket, opened: "connect" | "secureConnect") {
    this.#socket = socket.setNoDelay(true);
    socket.once(opened, () => {
      this.#isOpen = true;
      this.onopen?.();
    });
    socket.on("data", (data) => this.onmessage?.({ data }));
    socket.once("error", (error) => this.onerror?.(error));
    socket.once("close", () => {
      this.#isOpen = false;
      this.onclose?.();
    });
  }

  get readyState(): StompSocketState {
    if (this.#isOpen) return StompSocketState.OPEN;
    return this.#socket.destroyed ? StompSocketState.CLOSED : StompSocketState.CONNECTING;
  }

  /** What is sent in one turn of the event loop goes out together. Frames with a body of bytes come as an `ArrayBuffer`. */
  send(data: string | ArrayBuffer): void {
    if (!this.#isOpen) return;
    if (!this.#isCorked) {
      this.#isCorked = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#isCorked = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(typeof data === "string" ? data : new Uint8Array(data));
  }

  close(): void {
    this.#socket.end();
  }

  terminate(): void {
    this.#socket.destroy();
  }
}
