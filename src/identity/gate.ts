import { withinAccessTime } from "../guard/access_time.ts";
import { addressAllowed } from "../guard/address_lists.ts";
import type { LoginMethod, User } from "../model/user.ts";
import type { LoginProtocol } from "./identity.ts";
import { isDenied } from "./methods.ts";

const day = 24 * 60 * 60 * 1000;

/** Why an account may not be in use now, or undefined (BEHAVIOUR CONN-07). */
export const accountRefusal = (user: User, now: number): string | undefined => {
  if (user.status !== 1) return "the account is disabled";
  if (user.expiration_date > 0 && user.expiration_date <= now) return "the account has expired";
  if (!withinAccessTime(user.filters.access_time, now)) return "outside the allowed hours";
  return undefined;
};

/** Whether one-time codes guard this user's logins over `protocol`; WebDAV cannot ask for one (BEHAVIOUR MFA-03). */
export const usesTotp = (user: User, protocol: LoginProtocol = "SSH"): boolean => {
  const totp = user.filters.totp_config;
  return totp?.enabled === true && protocol !== "DAV" && totp.protocols.includes(protocol);
};

/**
 * Whether a password proves nothing and is not looked at: anonymous users, where
 * they may log in at all (BEHAVIOUR AUTH-16).
 */
export const takesAnyPassword = (user: User, protocol: LoginProtocol): boolean =>
  user.filters.is_anonymous && (protocol === "FTP" || protocol === "DAV");

/**
 * Why a user who has proven who they are may still not log in from
 * `ip` over `protocol`, or undefined (BEHAVIOUR AUTH-06). `method` is left out after a first
 * step, which cannot be a login.
 */
export const loginRefusal = (
  user: User,
  context: {
    readonly ip: string;
    readonly protocol?: LoginProtocol;
    readonly now: number;
    readonly method?: LoginMethod;
  },
): string | undefined => {
  const { filters } = user;
  const { ip, protocol = "SSH", now, method } = context;
  const account = accountRefusal(user, now);
  if (account !== undefined) return account;
  if (filters.denied_protocols.includes(protocol)) return "the protocol is denied";
  if (filters.is_anonymous && !takesAnyPassword(user, protocol)) {
    return `anonymous users have no ${protocol}`;
  }
  if (method !== undefined && isDenied(user, method, protocol)) return "the login method is denied";
  if (!addressAllowed({ allowed: filters.allowed_ip, denied: filters.denied_ip }, ip)) {
    return "the address is not allowed";
  }
  if (filters.require_password_change) return "the password must be changed first";
  if (!filters.is_anonymous && passwordExpired(user, now)) return "the password has expired";
  // WebDAV cannot ask for a code (BEHAVIOUR MFA-03).
  if (protocol !== "DAV" && filters.two_factor_protocols.includes(protocol)) {
    if (!usesTotp(user, protocol)) return "a second factor is required and not set up";
    // A password over SSH cannot carry a code (BEHAVIOUR MFA-05). A key may log in
    // alone, as in the incumbent; `denied_login_methods` is there for stricter sites.
    if (protocol === "SSH" && method === "password") return "a second factor is required";
  }
  return undefined;
};

/** Users who have no password have none that could expire. */
const passwordExpired = (user: User, now: number): boolean =>
  user.password_hash !== "" && user.filters.password_expiration > 0 &&
  user.last_password_change + user.filters.password_expiration * day <= now;
