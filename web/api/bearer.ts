import { Clock, Data, Effect, type Scope } from "effect";
import { sign, verify } from "hono/jwt";
import type { JWTPayload } from "hono/utils/jwt/types";
import type { Exchange } from "../../actors/exchange.ts";
import type { Refused } from "../../actors/registry.ts";
import { Users } from "../../src/catalog/catalog.ts";
import type { CatalogError, FsError } from "../../src/errors.ts";
import { loginRefusal } from "../../src/identity/gate.ts";
import type { KeyFileError } from "../../src/identity/key_files.ts";
import { TokenStore } from "../../src/identity/token_store.ts";
import { monotonicMillis } from "../../src/monotonic.ts";
import type { User } from "../../src/model/user.ts";
import { type Vfs, VfsFactory } from "../../src/vfs/vfs.ts";

/** Seconds that a token lives (BEHAVIOUR API-02). */
const lifetime = 20 * 60;
const audience = "sluice:api:user";
const mostTokenLength = 4096;
/** Tokens whose signature is not checked again. */
const mostGenuine = 1000;

/** The request has no token that is good now, from where it came. Answer 401. */
export class Unauthorised extends Data.TaggedError("Unauthorised")<{ readonly why: string }> {}

/** Who a good token stands for. */
export interface Bearer {
  readonly user: User;
  /** The token's own id. */
  readonly id: string;
}

export interface IssuedToken {
  readonly access_token: string;
  /** RFC 3339. */
  readonly expires_at: string;
}

/** A user's files, for the time of one exchange. */
export interface Visit {
  readonly user: User;
  readonly vfs: Vfs;
}

/**
 * Issues and checks the users' bearer tokens (JWT, HS256; BEHAVIOUR API-04).
 *
 * A token is bound to the client's address and to the account as it was: any
 * change of the account, its end or a logout ends it. `visit` checks the
 * `Authorization` header, takes the exchange's place in the registry and opens
 * the user's VFS; both last until the scope closes.
 */
export const bearerTokens = Effect.gen(function* () {
  const store = yield* TokenStore;
  const users = yield* Users;
  const factory = yield* VfsFactory;

  let shift = -Infinity;
  /**
   * Now, or what it would be had nobody set the clock back since the start: no
   * token of before that comes from the future (SECURITY 7.12).
   */
  const latest = Effect.gen(function* () {
    const elapsed = yield* monotonicMillis;
    shift = Math.max(shift, (yield* Clock.currentTimeMillis) - elapsed);
    return shift + elapsed;
  });
  yield* latest;

  const issue = (user: User, ip: string): Effect.Effect<IssuedToken> =>
    Effect.gen(function* () {
      const now = Math.floor((yield* Clock.currentTimeMillis) / 1000);
      const claims = {
        sub: user.username,
        aud: audience,
        jti: crypto.randomUUID().replaceAll("-", ""),
        iat: now,
        exp: now + lifetime,
        ip,
        account: versionOf(user),
      };
      const token = yield* Effect.promise(() => sign(claims, secret, "HS256"));
      return { access_token: token, expires_at: new Date(claims.exp * 1000).toISOString() };
    });
  const secret = hex(store.key);

  /** What is written in a token of ours that has not expired. */
  const verified = (token: string): Effect.Effect<JWTPayload, Unauthorised> =>
    Effect.gen(function* () {
      const known = genuine.get(token);
      const now = (yield* Clock.currentTimeMillis) / 1000;
      if (known && (known.exp ?? 0) > now) return known;
      genuine.delete(token);
      const payload = yield* Effect.tryPromise({
        try: () => verify(token, secret, { alg: "HS256", aud: audience, iat: false }),
        catch: () => new Unauthorised({ why: "the token is not valid, or has expired" }),
      });
      const oldest = genuine.size >= mostGenuine ? genuine.keys().next().value : undefined;
      if (oldest !== undefined) genuine.delete(oldest);
      genuine.set(token, payload);
      return payload;
    });
  // A signature that was right stays so; all else is looked at with each request.
  const genuine = new Map<string, JWTPayload>();

  const check = (
    header: string | null,
    ip: string,
  ): Effect.Effect<Bearer, Unauthorised | CatalogError | KeyFileError> =>
    Effect.gen(function* () {
      const token = /^bearer +([A-Za-z0-9_.-]+) *$/i.exec(header ?? "")?.[1];
      if (token === undefined || token.length > mostTokenLength) {
        return yield* new Unauthorised({ why: "a bearer token is needed" });
      }
      const { sub, jti, iat, ...claims } = yield* verified(token);
      const no = new Unauthorised({ why: "the token is not valid any more" });
      if (typeof iat !== "number" || iat > (yield* latest) / 1000) return yield* no;
      if (typeof sub !== "string" || typeof jti !== "string" || claims["ip"] !== ip) {
        return yield* no;
      }
      if (yield* store.isRevoked(jti)) return yield* no;
      const user = yield* users.effective(sub);
      const now = yield* Clock.currentTimeMillis;
      if (
        !user || versionOf(user) !== claims["account"] ||
        loginRefusal(user, { ip, protocol: "HTTP", now, method: "password" }) !== undefined
      ) return yield* no;
      return { user, id: jti };
    });

  const visit = (
    exchange: Exchange,
  ): Effect.Effect<
    Visit,
    Unauthorised | CatalogError | KeyFileError | FsError | Refused,
    Scope.Scope
  > =>
    Effect.gen(function* () {
      const header = exchange.request.headers.get("authorization");
      const { user } = yield* check(header, exchange.ip);
      const { principal, observer } = yield* exchange.enter(user, "HTTP");
      return { user, vfs: yield* factory.forSession(user, principal, observer) };
    });

  return { issue, check, visit, revoke: (bearer: Bearer) => store.revoke(bearer.id) };
});
export type BearerTokens = Effect.Effect.Success<typeof bearerTokens>;

/** Another after each change that an operator or the user makes to the account, and for its successor of the same name. */
const versionOf = (user: User): string => `${user.id}:${user.created_at}:${user.updated_at}`;

const hex = (bytes: Uint8Array): string =>
  [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
