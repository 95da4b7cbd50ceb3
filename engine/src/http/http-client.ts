/**
 * One request over HTTP and its whole answer, bounded in time and size: how behaviors call services. Retrying, and what a
 * status means, is for those who use the port; which addresses may be called is for the client's own options.
 */

export interface HttpRequest {
  readonly method: "GET" | "POST";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** For everything from the connection to the last byte of the answer, redirects included; ms. */
  readonly deadlineMs: number;
  /** Most bytes of the answer's body. */
  readonly answerBytesMax: number;
}

export interface HttpAnswer {
  readonly status: number;
  /** Names in lower case; of a repeated header the first value. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export interface HttpClient {
  /**
   * The answer, whatever its status. A 307 or 308 is followed, of a GET also a 301, 302 or 303; to another origin without the request's own headers, as they
   * may be secrets.
   *
   * @throws HTTP-UNREACHABLE nothing was sent; HTTP-BROKEN, HTTP-DEADLINE the request may have been handled (transient all
   * three); HTTP-ADDRESS, HTTP-ANSWER-SIZE, HTTP-REDIRECT (terminal)
   */
  request(request: HttpRequest): Promise<HttpAnswer>;
  /** Ends what is under way with HTTP-BROKEN. */
  close(): Promise<void>;
}
