import { isAbsolute, join } from "node:path";
import type { X509Certificate } from "node:crypto";
import { Effect, Schedule, type Scope } from "effect";
import { ConfigError } from "../src/errors.ts";
import { readRevocations, type RevocationList } from "../src/tls/revocation.ts";
import { makeProver, type Prover, readAuthorities } from "./client_certificate.ts";

/** Those who sign the certificates of clients. */
export interface ClientAuthorities {
  /** PEM texts, for the TLS library. */
  readonly pems: ReadonlyArray<string>;
  readonly prove: Prover;
}

export interface AuthoritySettings {
  readonly dataDir: string;
  /** The section of the settings, for errors. */
  readonly where: string;
  readonly ca_certificates: ReadonlyArray<string>;
  readonly ca_revocation_lists: ReadonlyArray<string>;
  readonly bindings: ReadonlyArray<{ readonly client_auth_type: 0 | 1 | 2 }>;
}

const LOOK_EVERY = "10 seconds";

/**
 * Reads those who sign the certificates of clients, and what they have revoked. Fails
 * where a file cannot be used, and where a binding asks clients for what nobody could
 * have signed. Revocation lists are read again when they change, until the scope closes.
 */
export const loadAuthorities = (
  settings: AuthoritySettings,
): Effect.Effect<ClientAuthorities, ConfigError, Scope.Scope> =>
  Effect.gen(function* () {
    const { dataDir, where, ca_certificates, ca_revocation_lists, bindings } = settings;
    const place = (file: string) => isAbsolute(file) ? file : join(dataDir, file);
    const pems = yield* Effect.forEach(ca_certificates, (file, i) =>
      usable(`${where}.ca_certificates.${i}`, file, async () => {
        const pem = await Deno.readTextFile(place(file));
        readAuthorities([pem]);
        return pem;
      }));
    if (
      pems.length === 0 && bindings.some(({ client_auth_type }) =>
        client_auth_type !== 0
      )
    ) {
      return yield* wrongSetting(
        `${where}.ca_certificates`,
        "client_auth_type needs the certificates of those who sign",
      );
    }
    const authorities = readAuthorities(pems);
    const lists = yield* Effect.forEach(ca_revocation_lists, (file, i) =>
      followList(`${where}.ca_revocation_lists.${i}`, place(file), authorities));
    return {
      pems,
      prove: makeProver(authorities, () =>
        lists.flatMap((list) =>
          list()
        )),
    };
  });

/** Answers what a file says now. Where a new issue cannot be used, the last one stays. */
const followList = (
  where: string,
  file: string,
  authorities: ReadonlyArray<X509Certificate>,
): Effect.Effect<() => ReadonlyArray<RevocationList>, ConfigError, Scope.Scope> =>
  Effect.gen(function* () {
    let seen = "";
    let lists: ReadonlyArray<RevocationList> = [];
    const look = usable(where, file, async () => {
      const { mtime, size, ino } = await Deno.stat(file);
      const state = `${mtime?.getTime()} ${size} ${ino}`;
      if (state === seen) return;
      lists = readRevocations(await Deno.readFile(file), authorities);
      seen = state;
    });
    yield* look;
    yield* Effect.catchTag(
      look,
      "ConfigError",
      (error) => Effect.logWarning("a revocation list cannot be read again", error),
    ).pipe(
      Effect.schedule(Schedule.spaced(LOOK_EVERY)),
      Effect.forkScoped,
    );
    return () => lists;
  });

const usable = <A>(where: string, file: string, read: () => Promise<A>) =>
  Effect.tryPromise({
    try: read,
    catch: (error) =>
      wrongSetting(
        where,
        `${file} cannot be used (${error instanceof Error ? error.message : error})`,
      ),
  });

const wrongSetting = (where: string, what: string) =>
  new ConfigError({ problems: [{ where, what }] });
