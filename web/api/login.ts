import { Effect } from "effect";
import type { Exchange } from "../../actors/exchange.ts";
import { Identity } from "../../src/identity/identity.ts";
import type { BearerTokens } from "./bearer.ts";
import { done, type Failure, json, refuse } from "./failure.ts";
import { ownHeader } from "./request.ts";

/** `GET /user/token`: Basic credentials, and the one-time code in a header, for a bearer token. */
export const giveToken = (
  identity: typeof Identity.Service,
  tokens: BearerTokens,
  exchange: Exchange,
): Effect.Effect<Response, Failure> =>
  Effect.gen(function* () {
    const { request, ip, id } = exchange;
    const given = parseBasic(request.headers.get("authorization"));
    if (given === "malformed") return yield* refuse(400, "the credentials are malformed");
    if (given === "none") return yield* unauthorised("log in with basic credentials");
    const login = yield* identity.begin({ ip, protocol: "HTTP", sessionId: `HTTP_${id}` });
    const outcome = yield* login.password(
      given.name,
      given.password,
      ownHeader(request, "otp") ?? undefined,
    );
    if (outcome._tag !== "Accepted") return yield* unauthorised("the login failed");
    return json(yield* tokens.issue(outcome.user, ip));
  });

/** `GET /user/logout`: the token is worth nothing from now on. */
export const endToken = (
  tokens: BearerTokens,
  { request, ip }: Exchange,
): Effect.Effect<Response, Failure> =>
  Effect.gen(function* () {
    yield* tokens.revoke(yield* tokens.check(request.headers.get("authorization"), ip));
    return done("Your token has been invalidated");
  });

const unauthorised = (text: string) =>
  refuse(401, text, { "www-authenticate": 'Basic realm="Sluice", charset="UTF-8"' });

/** RFC 7617. A second header arrives joined to the first by a comma, and is malformed like other noise. */
const parseBasic = (
  header: string | null,
): "none" | "malformed" | { readonly name: string; readonly password: string } => {
  if (header === null || !/^basic\b|,/i.test(header)) return "none";
  const encoded = /^basic +([A-Za-z0-9+/]+={0,2}) *$/i.exec(header)?.[1];
  if (encoded === undefined || encoded.length > 4096) return "malformed";
  try {
    const bytes = Uint8Array.from(atob(encoded), (c) => c.charCodeAt(0));
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    const colon = text.indexOf(":");
    return colon < 0
      ? "malformed"
      : { name: text.slice(0, colon), password: text.slice(colon + 1) };
  } catch {
    return "malformed";
  }
};
