import type { Settings } from "../../config/config.ts";
import { type MasterKey, seal, unseal } from "../../identity/sealed.ts";
import { totpProblems } from "../../model/check_filters.ts";
import type { RecoveryCode, Secret, TotpConfig } from "../../model/user.ts";
import { isEmpty, isObject } from "./shape.ts";

type Key = typeof MasterKey.Service;
type Sealed = typeof Secret.Type;
type Code = typeof RecoveryCode.Type;

/** Second factors, as both kinds of accounts have them. */
export interface Factors {
  readonly totp_config?: TotpConfig | undefined;
  readonly recovery_codes: ReadonlyArray<Code>;
}

/** Without a second factor that holds nothing: SFTPGo writes one for every account. */
export const withoutEmptyFactor = (json: unknown): unknown => {
  if (!isObject(json) || !isObject(json["filters"])) return json;
  const { totp_config: totp, ...filters } = json["filters"];
  if (totp === undefined) return json;
  if (isEmpty(totp)) return { ...json, filters };
  if (!isObject(totp) || !isEmpty(totp["secret"])) return json;
  const { secret: _, ...others } = totp;
  return { ...json, filters: { ...filters, totp_config: others } };
};

/** What is wrong with second factors: a secret that cannot be opened here would lock its owner out. */
export const factorProblems = (
  { totp_config: totp, recovery_codes: codes }: Factors,
  owner: string,
  key: Key,
  config: Settings,
): ReadonlyArray<string> => [
  ...totpProblems(totp, config).filter((what) => !/\.secret:/.test(what) || !totp?.secret),
  ...secretProblem("filters.totp_config.secret", totp?.secret, owner, key),
  ...codes.flatMap(({ secret }, i) =>
    secretProblem(`filters.recovery_codes[${i}].secret`, secret, owner, key)
  ),
];

const secretProblem = (
  field: string,
  secret: Sealed | undefined,
  owner: string,
  key: Key,
): ReadonlyArray<string> => {
  if (secret === undefined || (secret.status === "Plain" && secret.payload !== "")) return [];
  if (secret.status === "AES-256-GCM") {
    if (unseal(key, secret, owner) !== undefined) return [];
    return [
      secret.key === key.id
        ? `${field}: was changed, or sealed for another account`
        : `${field}: was sealed under another master key; put the master.key of that data ` +
          "folder here, or leave the second factor out and enrol again",
    ];
  }
  const why = secret.status === "Redacted" || secret.payload === ""
    ? "the file does not hold it"
    : `it was sealed by another system (${secret.status})`;
  return [`${field}: ${why}; leave the second factor out to keep what is stored, or enrol again`];
};

/**
 * Second factors as they are to be stored. What the file has none of is kept: a
 * list written by hand must not take them away. Plain ones are sealed, those that
 * say the same as the stored ones stay as they are.
 */
export const mergeFactors = (
  given: Factors,
  stored: Factors | undefined,
  owner: string,
  key: Key,
): Factors => {
  const sealed = (secret: Sealed, old: Sealed | undefined): Sealed => {
    if (secret.status !== "Plain") return secret;
    const known = old?.status === "AES-256-GCM" && unseal(key, old, owner) === secret.payload;
    return known ? old : seal(key, secret.payload, owner);
  };
  const { totp_config: totp, recovery_codes: codes, ...filters } = given;
  const own = totp ?? stored?.totp_config;
  return {
    ...filters,
    ...(own !== undefined && {
      totp_config: totp?.secret
        ? { ...totp, secret: sealed(totp.secret, stored?.totp_config?.secret) }
        : own,
    }),
    recovery_codes: codes.length === 0 ? stored?.recovery_codes ?? [] : codes.map((code, i) => ({
      ...code,
      secret: sealed(code.secret, stored?.recovery_codes[i]?.secret),
    })),
  };
};
