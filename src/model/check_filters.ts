import { X509Certificate } from "node:crypto";
import type { Settings } from "../config/config.ts";
import { checkEmail, checkNetworks, cleanPath } from "./check_fields.ts";
import { Problems, quoted } from "./problems.ts";
import { LoginMethod, type PatternsFilter, type UserFilters } from "./user.ts";

/** Finds what is wrong in a user's `filters` and answers their stored form. */
export const checkFilters = (
  problems: Problems,
  filters: UserFilters,
): UserFilters => {
  checkNetworks(problems, "filters.allowed_ip", filters.allowed_ip);
  checkNetworks(problems, "filters.denied_ip", filters.denied_ip);
  filters.additional_emails.forEach((email, i) =>
    checkEmail(problems, `filters.additional_emails[${i}]`, email)
  );
  const denied = new Set(filters.denied_login_methods);
  // `password` is denied everywhere, so over SSH too (BEHAVIOUR AUTH-02).
  if (denied.has("password")) denied.add("password-over-SSH");
  if (LoginMethod.literals.every((method) => denied.has(method))) {
    problems.add("filters.denied_login_methods", "leaves no way to log in");
  }
  if (new Set(filters.denied_protocols).size === 4) {
    problems.add("filters.denied_protocols", "leaves no protocol");
  }
  filters.bandwidth_limits.forEach(({ sources }, i) => {
    const field = `filters.bandwidth_limits[${i}].sources`;
    if (sources.length === 0) problems.add(field, "at least one network is needed");
    checkNetworks(problems, field, sources);
  });
  filters.access_time.forEach(({ from, to }, i) => {
    const field = `filters.access_time[${i}]`;
    for (const [name, text] of [["from", from], ["to", to]] as const) {
      if (!/^([01]\d|2[0-3]):[0-5]\d$/.test(text)) {
        problems.add(`${field}.${name}`, `${quoted(text)} is not a time as HH:MM`);
      }
    }
    if (from > to) problems.add(`${field}.to`, "must not be before from");
  });
  filters.tls_certs.forEach((pem, i) => {
    if (!isCertificate(pem)) problems.add(`filters.tls_certs[${i}]`, "is not a PEM certificate");
  });
  const { default_shares_expiration, max_shares_expiration } = filters;
  if (max_shares_expiration > 0 && default_shares_expiration > max_shares_expiration) {
    problems.add("filters.default_shares_expiration", "is more than max_shares_expiration");
  }
  return {
    ...filters,
    start_directory: filters.start_directory === ""
      ? ""
      : cleanPath(problems, "filters.start_directory", filters.start_directory),
    file_patterns: checkPatterns(problems, filters.file_patterns),
  };
};

/** What is wrong with a second factor: an enabled one needs a known profile and its secret. */
export const totpProblems = (
  totp: UserFilters["totp_config"],
  config: Settings,
): ReadonlyArray<string> => {
  if (!totp?.enabled) return [];
  const problems = new Problems();
  if (!config.mfa.totp.some((profile) => profile.name === totp.config_name)) {
    problems.add(
      "filters.totp_config.config_name",
      `${quoted(totp.config_name)} is not configured`,
    );
  }
  if (!totp.secret || totp.secret.status === "Redacted" || totp.secret.payload === "") {
    problems.add("filters.totp_config.secret", "is needed");
  }
  return problems.found;
};

/** BEHAVIOUR PAT-01: one entry a path, patterns in lower case. */
const checkPatterns = (
  problems: Problems,
  entries: ReadonlyArray<PatternsFilter>,
): ReadonlyArray<PatternsFilter> => {
  const seen = new Set<string>();
  return entries.map((entry, i) => {
    const field = `filters.file_patterns[${i}]`;
    const path = cleanPath(problems, `${field}.path`, entry.path);
    if (seen.has(path)) problems.add(`${field}.path`, "has an entry already");
    seen.add(path);
    if (entry.allowed_patterns.length + entry.denied_patterns.length === 0) {
      problems.add(field, "at least one pattern is needed");
    }
    const lower = (name: "allowed_patterns" | "denied_patterns") =>
      entry[name].map((pattern, j) => {
        if (!isPattern(pattern)) {
          problems.add(`${field}.${name}[${j}]`, `${quoted(pattern)} is not a pattern`);
        }
        return pattern.toLowerCase();
      });
    return {
      ...entry,
      path,
      allowed_patterns: lower("allowed_patterns"),
      denied_patterns: lower("denied_patterns"),
    };
  });
};

/** A shell pattern for one name: `*`, `?`, `[a-z]`, `\` before a character. */
const isPattern = (pattern: string): boolean =>
  /^(?:[^[\]\\/\0]|\\[^/\0]|\[[\^!]?\]?[^\]/\0]*\])+$/.test(pattern);

const isCertificate = (pem: string): boolean => {
  try {
    return pem.includes("-----BEGIN CERTIFICATE-----") && new X509Certificate(pem) !== undefined;
  } catch {
    return false;
  }
};
