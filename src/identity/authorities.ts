import { Effect, Either, Schema } from "effect";
import { parseAddress } from "../guard/address.ts";
import { contains, parseCidr } from "../guard/cidr.ts";
import { ConfigError, type ConfigProblem } from "../errors.ts";
import { KeyFileError, KeyFiles } from "./key_files.ts";
import { type Certificate, parseCertificate } from "./ssh_certificate.ts";
import { fingerprint, parsePublicKeyLine, sameBytes } from "./ssh_key.ts";

/** Whoever may vouch for users, and what was withdrawn since. */
export interface Authorities {
  /**
   * Whether the certificate lets `username` in from `ip` at `now` (Unix
   * milliseconds); answers it, or why not (BEHAVIOUR SSH-11, SSH-12).
   */
  readonly check: (
    blob: Uint8Array,
    who: { readonly username: string; readonly ip: string; readonly now: number },
  ) => Effect.Effect<Either.Either<Certificate, string>>;
}

const decodeRevoked = Schema.decodeUnknownEither(
  Schema.parseJson(Schema.Array(Schema.String.pipe(Schema.pattern(/^SHA256:[A-Za-z0-9+/]{43}$/)))),
);

/**
 * Loads the authorities from configuration; each entry is a key line or a file of such lines.
 *
 * The revocation file is looked at anew for each certificate. While it cannot
 * be read, no certificate logs in.
 */
export const loadAuthorities = (settings: {
  readonly trusted_user_ca_keys: ReadonlyArray<string>;
  readonly revoked_user_certs_file: string;
}): Effect.Effect<Authorities, ConfigError, KeyFiles> =>
  Effect.gen(function* () {
    const files = yield* KeyFiles;
    const problems: ConfigProblem[] = [];
    const trusted: Uint8Array[] = [];
    for (const entry of settings.trusted_user_ca_keys) {
      const where = "sftpd.trusted_user_ca_keys";
      const text = isKeyLine(entry) ? Either.right(entry) : yield* Effect.either(files.read(entry));
      if (Either.isLeft(text)) {
        problems.push({ where, what: text.left.message });
        continue;
      }
      for (const line of text.right.split("\n").map((raw) => raw.trim())) {
        if (line === "" || line.startsWith("#")) continue;
        const key = parsePublicKeyLine(line);
        if (Either.isRight(key)) trusted.push(key.right.blob);
        else problems.push({ where, what: `${entry}: ${key.left}` });
      }
    }
    const revoked = readRevoked(files, settings.revoked_user_certs_file);
    const first = yield* Effect.either(revoked);
    if (Either.isLeft(first)) {
      problems.push({ where: "sftpd.revoked_user_certs_file", what: first.left.message });
    }
    if (problems.length > 0) return yield* new ConfigError({ problems });

    return {
      check: (blob, who) =>
        Effect.gen(function* () {
          if (trusted.length === 0) return Either.left("no certificate authority is trusted");
          const parsed = parseCertificate(
            blob,
            (authority) => trusted.some((key) => sameBytes(key, authority)),
          );
          if (Either.isLeft(parsed)) return parsed;
          const certificate = parsed.right;
          const withdrawn = yield* Effect.either(revoked);
          if (Either.isLeft(withdrawn)) {
            return Either.left("the list of revoked certificates cannot be read");
          }
          const reason = refusal(certificate, withdrawn.right, who);
          return reason === undefined ? Either.right(certificate) : Either.left(reason);
        }),
    };
  });

const refusal = (
  certificate: Certificate,
  revoked: ReadonlySet<string>,
  who: { readonly username: string; readonly ip: string; readonly now: number },
): string | undefined => {
  const seconds = BigInt(Math.floor(who.now / 1000));
  if (
    revoked.has(fingerprint(certificate.key.blob)) ||
    revoked.has(fingerprint(certificate.authority.blob))
  ) return "the certificate is revoked";
  if (seconds < certificate.validAfter) return "the certificate is not valid yet";
  if (seconds >= certificate.validBefore) return "the certificate has expired";
  if (certificate.principals.length === 0) return "the certificate names no principal";
  if (!certificate.principals.includes(who.username)) {
    return "the certificate is for other principals";
  }
  const sources = certificate.sourceAddresses;
  return sources && !comesFrom(sources, who.ip)
    ? "the certificate is not valid from this address"
    : undefined;
};

/** One entry that cannot be read spoils the list, as in OpenSSH. */
const comesFrom = (sources: ReadonlyArray<string>, ip: string): boolean => {
  const address = parseAddress(ip);
  const ranges = sources.map((source) => parseCidr(source));
  return address !== undefined && ranges.every(Either.isRight) &&
    ranges.some((range) => Either.isRight(range) && contains(range.right, address));
};

const readRevoked = (
  files: typeof KeyFiles.Service,
  path: string,
): Effect.Effect<ReadonlySet<string>, KeyFileError> =>
  path === ""
    ? Effect.succeed(new Set())
    : Effect.flatMap(files.read(path), (text) =>
      Either.match(decodeRevoked(text), {
        onLeft: (cause) =>
          Effect.fail(
            new KeyFileError({ path, what: "is not a JSON array of SHA256: fingerprints", cause }),
          ),
        onRight: (list) => Effect.succeed(new Set(list)),
      }));

const isKeyLine = (entry: string): boolean =>
  /^[a-z0-9@.-]+[ \t]+[A-Za-z0-9+/]{20}/.test(entry.trim());
