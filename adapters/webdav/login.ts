import { createHmac, randomBytes } from "node:crypto";
import { Clock, Effect } from "effect";
import { Users } from "../../src/catalog/catalog.ts";
import type { Exchange } from "../../actors/exchange.ts";
import { Config } from "../../src/config/config.ts";
import { loginRefusal } from "../../src/identity/gate.ts";
import { Identity } from "../../src/identity/identity.ts";
import { isOwn, type ShownCertificate } from "../../src/identity/tls_certificate.ts";
import type { LoginMethod, User } from "../../src/model/user.ts";
import { monotonicMillis } from "../../src/monotonic.ts";

/** Milliseconds that a verified login is believed, and that an account is not looked at again. */
const BELIEVED = 60_000;
const LOOK_AFTER = 1_000;
const MAX_KEPT = 1_000;

interface Verified {
  user: User;
  readonly method: LoginMethod;
  readonly until: number;
  looked: number;
}

/** What a request shows: a password, a certificate under a name, or both. */
interface Shown {
  readonly name: string;
  readonly password?: string;
  readonly certificate?: ShownCertificate;
}

/** How a request stands: who it is, or the status to refuse it with. */
export type Basic = { readonly user: User } | { readonly status: 400 | 401 };

/**
 * Checks `Authorization: Basic` (RFC 7617) and the certificate of the connection, if
 * TLS has proven one, against the login pipeline. The certificate comes first, as the
 * named user's or, without `Authorization`, as that of its common name (BEHAVIOUR DAV-01).
 *
 * A login that was right is believed for a minute from the same address,
 * without a password or its hash being kept; the account is read again each second,
 * and a changed password, a certificate taken away or a closed account ends that at once.
 */
export const basicLogin = Effect.gen(function* () {
  const identity = yield* Identity;
  const users = yield* Users;
  const { data_provider: { naming_rules } } = yield* Config;
  const secret = randomBytes(32);
  const kept = new Map<string, Verified>();
  // One check at a time for one credential: a burst of requests costs one hash.
  const turns = new Map<string, { readonly turn: Effect.Semaphore; waiting: number }>();

  const remembered = (key: string, ip: string, certificate: ShownCertificate | undefined) =>
    Effect.gen(function* () {
      const entry = kept.get(key);
      const now = yield* Clock.currentTimeMillis;
      const elapsed = yield* monotonicMillis;
      if (!entry) return undefined;
      if (entry.until > elapsed) {
        if (entry.looked + LOOK_AFTER > elapsed) return entry.user;
        const user = yield* users.effective(entry.user.username);
        const same = user !== undefined && user.password_hash === entry.user.password_hash &&
          loginRefusal(user, { ip, protocol: "DAV", now, method: entry.method }) === undefined &&
          (!entry.method.startsWith("TLS") ||
            certificate !== undefined && isOwn(user, naming_rules, certificate));
        if (same) {
          entry.user = user;
          entry.looked = elapsed;
          return user;
        }
      }
      kept.delete(key);
      return undefined;
    });

  const verify = (key: string, ip: string, id: string, { name, password, certificate }: Shown) =>
    Effect.gen(function* () {
      const known = yield* remembered(key, ip, certificate);
      if (known) return known;
      const login = yield* identity.begin({ ip, protocol: "DAV", sessionId: `DAV_${id}` });
      let outcome = certificate && (yield* login.certificate(name, certificate));
      if (outcome?._tag !== "Accepted" && password !== undefined) {
        outcome = yield* login.password(name, password);
      }
      if (outcome?._tag !== "Accepted") return undefined;
      const elapsed = yield* monotonicMillis;
      const oldest = kept.size >= MAX_KEPT ? kept.keys().next().value : undefined;
      if (oldest !== undefined) kept.delete(oldest);
      // Read again: an upgraded hash would look like a changed password.
      const user = (yield* users.effective(outcome.user.username)) ?? outcome.user;
      const method = outcome.method as LoginMethod;
      kept.set(key, { user, method, until: elapsed + BELIEVED, looked: elapsed });
      return user;
    });

  return ({ request, ip, id, certificate }: Exchange): Effect.Effect<Basic> =>
    Effect.gen(function* () {
      const shown = whatIsShown(request.headers.get("authorization"), certificate);
      if (typeof shown === "number") return { status: shown } as const;
      const key = createHmac("sha256", secret)
        .update(JSON.stringify([shown.name, shown.password, certificate?.fingerprint, ip]))
        .digest("base64");
      const place = turns.get(key) ?? { turn: Effect.unsafeMakeSemaphore(1), waiting: 0 };
      turns.set(key, place);
      place.waiting += 1;
      const user = yield* place.turn.withPermits(1)(verify(key, ip, id, shown)).pipe(
        Effect.ensuring(Effect.sync(() => {
          if (--place.waiting === 0) turns.delete(key);
        })),
        Effect.catchAll((error) =>
          Effect.as(Effect.logError("a login could not be checked", error), undefined)
        ),
      );
      return user ? { user } : { status: 401 } as const;
    });
});

const whatIsShown = (
  header: string | null,
  certificate: ShownCertificate | undefined,
): 400 | 401 | Shown => {
  const given = parseBasic(header);
  if (!certificate || given === 400) return given;
  if (given !== 401) return { ...given, certificate };
  const name = header === null ? certificate.commonName : undefined;
  return name === undefined ? 401 : { name, certificate };
};

/** A second header arrives joined to the first by a comma, and is malformed like other noise: 400. */
const parseBasic = (
  header: string | null,
): 400 | 401 | { readonly name: string; readonly password: string } => {
  if (header === null) return 401;
  const scheme = /^basic +(\S+) *$/i.exec(header)?.[1];
  if (scheme === undefined) return /^basic|,/i.test(header) ? 400 : 401;
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(scheme) || scheme.length > 4096) return 400;
  try {
    const bytes = Uint8Array.from(atob(scheme), (c) => c.charCodeAt(0));
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    const colon = text.indexOf(":");
    return colon < 0 ? 400 : { name: text.slice(0, colon), password: text.slice(colon + 1) };
  } catch {
    return 400;
  }
};
