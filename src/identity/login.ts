import { Clock, Effect, Either, Exit, Option } from "effect";
import { isLoginStale, type Users } from "../catalog/catalog.ts";
import type { Settings } from "../config/config.ts";
import type { CatalogError } from "../errors.ts";
import type { Journal } from "../events/journal.ts";
import { fault } from "../failpoint.ts";
import type { GuardShape } from "../guard/guard.ts";
import type { User } from "../model/user.ts";
import type { Authorities } from "./authorities.ts";
import { checkPassword, matchKey, provesKey } from "./credentials.ts";
import { loginRefusal, takesAnyPassword, usesTotp } from "./gate.ts";
import type { Login, LoginOutcome, LoginProtocol, PresentedKey, SshMethod } from "./identity.ts";
import { loginEvents } from "./login_events.ts";
import { isDenied, needsTwoSteps, secondSteps, serverMethods } from "./methods.ts";
import { accountName } from "./naming.ts";
import type { Passwords } from "./passwords.ts";
import type { SecondFactor } from "./second_factor.ts";
import { isOwn } from "./tls_certificate.ts";
import { Tries } from "./tries.ts";
import { type Verdict, wrong } from "./verdict.ts";
import { monotonicMillis } from "../monotonic.ts";

/** Milliseconds from the end of a failed check to its answer (BEHAVIOUR AUTH-17). */
const failureDelay = 1000;
/** Answers come on this grid, so that a cheap check and a dear one look alike. */
const answerGrid = 250;

/** Digits of a one-time code where it follows the password. */
const codeDigits = 6;

/** What a login needs to know and to ask. */
export interface LoginContext {
  readonly peer: {
    readonly ip: string;
    readonly protocol: LoginProtocol;
    readonly sessionId: string;
  };
  readonly settings: Settings;
  readonly users: typeof Users.Service;
  readonly journal: typeof Journal.Service;
  readonly passwords: typeof Passwords.Service;
  readonly secondFactor: typeof SecondFactor.Service;
  readonly authorities: Authorities;
  readonly guard: GuardShape;
}

/** Starts one connection's attempts. They run one at a time, in the order they came. */
export const makeLogin = (context: LoginContext): Effect.Effect<Login> =>
  Effect.map(Effect.makeSemaphore(1), (turn) => {
    const { peer, settings, users, journal, passwords, secondFactor, authorities, guard } = context;
    const { sftpd, data_provider } = settings;
    const methods = serverMethods(sftpd);
    const tries = new Tries(sftpd.max_auth_tries);
    let passedKey:
      | { readonly username: string; readonly next: ReadonlyArray<SshMethod> }
      | undefined;
    /** Who has shown a certificate that is theirs. */
    let certified: string | undefined;
    let finished = false;
    /** When the check began whose time an answer must not show. */
    let workStarted = 0;

    const events = loginEvents(journal, peer);
    const visitor = { ip: peer.ip, protocol: peer.protocol };
    /** The last name that was tried is somebody's. */
    let known = false;
    /** Refused keys count once, when the client leaves without a login (BEHAVIOUR DEF-06). */
    let keysRefused = false;
    let counted = false;
    const offend = () => {
      counted = true;
      return guard.report(visitor, known ? "valid" : "invalid");
    };

    const refused = (): LoginOutcome => ({
      _tag: "Refused",
      next: passedKey?.next ?? methods,
      exhausted: finished || tries.exhausted,
    });
    /** The account behind a typed name; forgets the first step of another one. */
    const nameOf = (typed: string): string | undefined => {
      const name = accountName(data_provider.naming_rules, typed);
      if (passedKey?.username !== name) passedKey = undefined;
      return name;
    };
    const lookup = (name: string | undefined): Effect.Effect<User | undefined, CatalogError> =>
      Effect.tap(
        name === undefined ? Effect.succeed(undefined) : users.effective(name),
        (user) => {
          known = user !== undefined;
        },
      );
    /** The one place that lets somebody in. */
    const admit = (proven: Extract<Verdict, { _tag: "Proven" }>) =>
      Effect.gen(function* () {
        const { user, method, detail, rehash } = proven;
        const now = yield* Clock.currentTimeMillis;
        const reason = loginRefusal(user, { ip: peer.ip, protocol: peer.protocol, now, method });
        if (reason !== undefined) return wrong(reason);
        // Banned by what others did from there since this one connected (SECURITY 6.12).
        if (yield* guard.isBanned(visitor)) return wrong("the address is banned");
        const upkeep = Effect.gen(function* () {
          if (rehash !== undefined) {
            const hash = yield* passwords.hash(rehash);
            yield* users.setPasswordHash(user.username, hash, { rehash: true });
          }
          if (isLoginStale(user, now)) yield* users.touchLastLogin(user.username);
        });
        yield* Effect.catchTag(
          upkeep,
          "CatalogError",
          (error) => Effect.logWarning(`login of ${user.username}: ${error.message}`),
        );
        yield* events.succeeded(user.username, method, detail);
        return { _tag: "Accepted", user, method } satisfies LoginOutcome;
      });

    /** Runs one counted attempt. Whatever does not end in `Accepted` or `Partial` is refused. */
    const attempt = (
      method: SshMethod,
      typed: string,
      work: (name: string | undefined) => Effect.Effect<Verdict, unknown>,
    ): Effect.Effect<LoginOutcome> =>
      turn.withPermits(1)(Effect.gen(function* () {
        if (finished || tries.exhausted) return refused();
        tries.count();
        events.begun();
        const name = nameOf(typed);
        const wasHalf = passedKey !== undefined;
        const label = wasHalf && method !== "publickey" ? `publickey+${method}` : method;
        workStarted = yield* monotonicMillis;
        const exit = yield* Effect.exit(Effect.gen(function* () {
          if (fault("identity.step", method)) return yield* Effect.die("failpoint identity.step");
          const verdict = yield* work(name);
          return verdict._tag === "Proven" ? yield* admit(verdict) : verdict;
        })).pipe(
          Effect.onInterrupt(() => events.failed(name ?? typed, label, "the client went away")),
        );
        if (Exit.isSuccess(exit) && exit.value._tag === "Accepted") {
          finished = true;
          tries.giveBack();
          return exit.value;
        }
        if (Exit.isSuccess(exit) && exit.value._tag === "Half") {
          // The same step again is no progress and counts.
          if (!wasHalf) tries.giveBack();
          const { user, next } = exit.value;
          passedKey = { username: user.username, next };
          return { _tag: "Partial", next } satisfies LoginOutcome;
        }
        if (Exit.isFailure(exit)) yield* Effect.logError(`login over ${method} failed`, exit.cause);
        const reason = Exit.isSuccess(exit) && exit.value._tag === "Wrong"
          ? exit.value.reason
          : "internal error";
        yield* events.failed(name ?? typed, label, reason);
        if (method === "publickey") keysRefused = true;
        else if (Exit.isSuccess(exit)) yield* offend();
        if (method !== "publickey") {
          const elapsed = Math.max(0, (yield* monotonicMillis) - workStarted);
          yield* Effect.sleep(failureDelay + answerGrid - elapsed % answerGrid);
        }
        return refused();
      }));

    const stepMethod = (second: "password" | "keyboard-interactive") =>
      passedKey ? `publickey+${second}` as const : second;

    const findKey = (name: string | undefined, key: PresentedKey) =>
      Effect.gen(function* () {
        const user = yield* lookup(name);
        const who = { username: name ?? "", ip: peer.ip };
        return { user, usable: yield* matchKey(sftpd, authorities, user, who, key) };
      });

    const query = (typed: string, key: PresentedKey) =>
      turn.withPermits(1)(Effect.gen(function* () {
        if (finished || tries.exhausted) return refused();
        tries.countQuery();
        events.offered(typed);
        const exit = yield* Effect.exit(Effect.suspend(() => findKey(nameOf(typed), key)));
        if (Exit.isSuccess(exit) && Either.isRight(exit.value.usable)) {
          return { _tag: "KeyUsable" } as const;
        }
        if (Exit.isFailure(exit)) {
          yield* Effect.logError("a key could not be looked up", exit.cause);
        } else keysRefused = true;
        return refused();
      }));

    const sign = (typed: string, key: PresentedKey) =>
      attempt("publickey", typed, (name) =>
        Effect.gen(function* () {
          const { user, usable } = yield* findKey(name, key);
          if (Either.isLeft(usable)) return wrong(usable.left);
          if (!user || provesKey(usable.right, key) !== true) {
            return wrong("the signature is wrong");
          }
          if (!needsTwoSteps(user)) {
            return { _tag: "Proven", user, method: "publickey", detail: usable.right.detail };
          }
          const now = yield* Clock.currentTimeMillis;
          const reason = loginRefusal(user, { ip: peer.ip, protocol: peer.protocol, now });
          if (reason !== undefined) return wrong(reason);
          const next = secondSteps(sftpd, user);
          return next.length === 0
            ? wrong("no second step is possible")
            : { _tag: "Half", user, next };
        }));

    /** One prompt, one answer; undefined when the client gives none. */
    const askOne = (ask: Parameters<Login["keyboardInteractive"]>[1], text: string) =>
      Effect.gen(function* () {
        const answers = yield* Effect.option(ask([{ text, echo: false }]));
        workStarted = yield* monotonicMillis;
        if (Option.isNone(answers) || answers.value.length !== 1) return undefined;
        return answers.value[0];
      });

    return {
      methods: Effect.succeed(methods),

      none: (typed) =>
        turn.withPermits(1)(Effect.sync(() => {
          nameOf(typed);
          tries.countNone();
          return refused();
        })),

      password: (typed, plain, code) =>
        attempt("password", typed, (name) =>
          Effect.gen(function* () {
            if (peer.protocol === "SSH" && !sftpd.password_authentication) {
              return wrong("the login method is off");
            }
            const user = yield* lookup(name);
            const method =
              user && user.username === certified && isDenied(user, "password", peer.protocol)
                ? "TLSCertificate+password"
                : stepMethod("password");
            const coded = peer.protocol === "FTP" && user && usesTotp(user, "FTP");
            const secret = coded ? plain.slice(0, -codeDigits) : plain;
            const { ok, stale, reason } = user && takesAnyPassword(user, peer.protocol)
              ? { ok: true, stale: false, reason: "" }
              : yield* checkPassword(passwords, user, secret);
            if (ok !== true || !user) return wrong(reason);
            const oneTime = coded ? plain.slice(-codeDigits) : code;
            if (user && usesTotp(user, peer.protocol) && peer.protocol !== "SSH") {
              if (!oneTime) return wrong("a second factor is required");
              const refusal = yield* secondFactor.refusal(user, oneTime);
              if (refusal !== undefined) return wrong(refusal);
            }
            return { _tag: "Proven", user, method, ...(stale ? { rehash: secret } : {}) };
          })),

      certificate: (typed, shown) =>
        turn.withPermits(1)(Effect.gen(function* () {
          certified = undefined;
          if (finished) return refused();
          const user = yield* lookup(nameOf(typed));
          if (!user || !isOwn(user, data_provider.naming_rules, shown)) return refused();
          certified = user.username;
          if (isDenied(user, "TLSCertificate", peer.protocol)) return refused();
          events.begun();
          const proven = {
            _tag: "Proven",
            user,
            method: "TLSCertificate",
            detail: `SHA256 ${shown.fingerprint}`,
          } as const;
          const outcome = yield* admit(proven);
          if (outcome._tag === "Accepted") finished = true;
          else if (outcome._tag === "Wrong") {
            yield* events.failed(user.username, "TLSCertificate", outcome.reason);
            yield* offend();
            yield* Effect.sleep(failureDelay);
          }
          return outcome._tag === "Accepted" ? outcome : refused();
        })).pipe(
          Effect.catchAllCause((cause) =>
            Effect.as(Effect.logError("login with a certificate failed", cause), refused())
          ),
        ),

      publicKey: (typed, key) => key.signature === undefined ? query(typed, key) : sign(typed, key),

      keyboardInteractive: (typed, ask) =>
        attempt("keyboard-interactive", typed, (name) =>
          Effect.gen(function* () {
            if (!sftpd.keyboard_interactive_authentication) return wrong("the login method is off");
            const method = stepMethod("keyboard-interactive");
            const user = yield* lookup(name);
            let rehash: string | undefined;
            if (!passedKey || !user || !usesTotp(user)) {
              const plain = yield* askOne(ask, "Password: ");
              if (plain === undefined) return wrong("the client gave no answer");
              const { ok, stale, reason } = yield* checkPassword(passwords, user, plain);
              if (ok !== true || !user) return wrong(reason);
              if (stale) rehash = plain;
            }
            if (usesTotp(user)) {
              const code = yield* askOne(ask, "Authentication code: ");
              if (code === undefined) return wrong("the client gave no answer");
              const reason = yield* secondFactor.refusal(user, code);
              if (reason !== undefined) return wrong(reason);
            }
            return { _tag: "Proven", user, method, ...(rehash === undefined ? {} : { rehash }) };
          })),

      abandoned: Effect.andThen(
        events.abandoned,
        Effect.suspend(() => {
          if (finished) return Effect.void;
          if (keysRefused) {
            keysRefused = false;
            return offend();
          }
          return counted ? Effect.void : guard.report(visitor, "no_auth");
        }),
      ),
    };
  });
