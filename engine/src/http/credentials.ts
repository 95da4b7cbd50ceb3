/** Credentials as headers: constant ones, or tokens of OAuth 2.0's client credentials grant (RFC 6749 §4.4), kept until they end. */
import { type ErrorOptions, MillraceError } from "../errors.ts";
import { isJsonObject, type Json } from "../frame/json.ts";
import type { Env } from "../time/clock.ts";
import type { HttpClient } from "./http-client.ts";
import { httpClientError } from "./http-client-errors.ts";

/** Secrets are the real ones here: nothing of this is ever shown. */
export type HttpAuth =
  | { readonly type: "bearer"; readonly token: string }
  | { readonly type: "basic"; readonly user: string; readonly password: string }
  | { readonly type: "api-key"; readonly key: string; readonly header: string }
  | {
      readonly type: "oauth2";
      readonly tokenUrl: string;
      readonly clientId: string;
      readonly clientSecret: string;
      readonly scope?: string;
    };

export interface Credentials {
  /** @throws what {@link CredentialErrors} make, transient */
  headers(): Promise<Readonly<Record<string, string>>>;
  /** The service refused them: whether others may be had. */
  renew(): boolean;
  /** What must not be shown. */
  readonly secrets: readonly string[];
}

/** Whose errors it is that there is no token. Default HTTP-TOKEN and HTTP-CREDENTIALS. */
export interface CredentialErrors {
  /** The token server is away or overloaded. */
  unavailable(message: string, options?: ErrorOptions): MillraceError;
  /** It does not know us. */
  refused(message: string): MillraceError;
}

const HTTP_ERRORS: CredentialErrors = {
  unavailable: (message, options) => httpClientError("HTTP-TOKEN", message, options),
  refused: (message) => httpClientError("HTTP-CREDENTIALS", message),
};

const TOKEN_DEADLINE_MS = 10_000;
const TOKEN_BYTES_MAX = 64 * 1024;
/** A token is given up as long before its end, so that none ends on its way. */
const EARLY_MS = 10_000;
/** Where the server does not say how long it lasts. */
const LIFE_MS = 300_000;

export function credentialsOf(
  auth: HttpAuth | undefined,
  client: HttpClient,
  env: Env,
  errors: CredentialErrors = HTTP_ERRORS,
): Credentials {
  if (auth === undefined) return constant({}, []);
  switch (auth.type) {
    case "bearer":
      return constant({ authorization: `Bearer ${auth.token}` }, [auth.token]);
    case "basic": {
      const pair = basic(auth.user, auth.password);
      return constant({ authorization: `Basic ${pair}` }, [auth.password, pair]);
    }
    case "api-key":
      return constant({ [auth.header.toLowerCase()]: auth.key }, [auth.key]);
    default:
      return new ClientCredentials(auth, client, env, errors);
  }
}

function constant(headers: Readonly<Record<string, string>>, secrets: readonly string[]): Credentials {
  return { headers: () => Promise.resolve(headers), renew: () => false, secrets };
}

function basic(user: string, password: string): string {
  return Buffer.from(`${user}:${password}`, "utf8").toString("base64");
}

type OAuth2 = Extract<HttpAuth, { type: "oauth2" }>;

class ClientCredentials implements Credentials {
  readonly #auth: OAuth2;
  readonly #client: HttpClient;
  readonly #env: Env;
  readonly #errors: CredentialErrors;
  #token: { readonly text: string; readonly untilMs: number } | undefined;
  /** One request for all who wait. */
  #asking: Promise<string> | undefined;

  constructor(auth: OAuth2, client: HttpClient, env: Env, errors: CredentialErrors) {
    this.#errors = errors;
    this.#auth = auth;
    this.#client = client;
    this.#env = env;
  }

  get secrets(): readonly string[] {
    const { clientSecret } = this.#auth;
    return this.#token === undefined ? [clientSecret] : [clientSecret, this.#token.text];
  }

  async headers(): Promise<Readonly<Record<string, string>>> {
    const token = this.#token;
    if (token !== undefined && this.#env.clock.monotonic() < token.untilMs) return bearer(token.text);
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return bearer(await this.#asking);
  }

  renew(): boolean {
    this.#token = undefined;
    return true;
  }

  async #ask(): Promise<string> {
    const { tokenUrl, clientId, clientSecret, scope } = this.#auth;
    const form = new URLSearchParams({ grant_type: "client_credentials", ...(scope === undefined ? {} : { scope }) });
    const asked = this.#env.clock.monotonic();
    const answer = await this.#client
      .request({
        method: "POST",
        url: tokenUrl,
        // Both parts are encoded before they are joined (RFC 6749 §2.3.1).
        headers: {
          authorization: `Basic ${basic(encodeURIComponent(clientId), encodeURIComponent(clientSecret))}`,
          "content-type": "application/x-www-form-urlencoded",
          accept: "application/json",
        },
        body: Buffer.from(form.toString()),
        deadlineMs: TOKEN_DEADLINE_MS,
        answerBytesMax: TOKEN_BYTES_MAX,
      })
      .catch((cause: unknown) => {
        if (!(cause instanceof MillraceError)) throw cause;
        throw this.#errors.unavailable(`no token: ${cause.message}`, { cause });
      });
    const { access_token: text, expires_in: seconds, error } = fieldsOf(answer.body);
    if (answer.status !== 200 || typeof text !== "string" || text === "") {
      const why = typeof error === "string" && /^[a-z_]{1,60}$/.test(error) ? ` (${error})` : "";
      const message = `the token server answered ${answer.status}${why} instead of a token`;
      const isDown = answer.status >= 500 || answer.status === 429;
      throw isDown ? this.#errors.unavailable(message) : this.#errors.refused(message);
    }
    const lifeMs = typeof seconds === "number" && seconds > 0 ? seconds * 1000 : LIFE_MS;
    this.#token = { text, untilMs: asked + Math.max(lifeMs / 2, lifeMs - EARLY_MS) };
    return text;
  }
}

function bearer(token: string): Readonly<Record<string, string>> {
  return { authorization: `Bearer ${token}` };
}

function fieldsOf(body: Uint8Array): Readonly<Record<string, Json | undefined>> {
  try {
    const value = JSON.parse(Buffer.from(body).toString("utf8")) as Json;
    return isJsonObject(value) ? value : {};
  } catch {
    return {};
  }
}
