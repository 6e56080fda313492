import { Schema as S } from "effect";
import { RecoveryCode, TotpConfig } from "./user.ts";

const opt = <A, I>(schema: S.Schema<A, I>, value: A) =>
  S.optionalWith(schema, { default: () => value, nullable: true });
const text = opt(S.String, "");
const flag = opt(S.Boolean, false);
const count = opt(S.Number.pipe(S.int(), S.between(0, Number.MAX_SAFE_INTEGER)), 0);

export const AdminPermission = S.Literal(
  "*",
  "add_users",
  "edit_users",
  "del_users",
  "view_users",
  "view_conns",
  "close_conns",
  "view_status",
  "manage_folders",
  "manage_groups",
  "quota_scans",
  "manage_defender",
  "view_defender",
  "view_events",
  "disable_mfa",
);

export const AdminFilters = S.Struct({
  allow_list: opt(S.Array(S.String), []),
  allow_api_key_auth: flag,
  require_two_factor: flag,
  require_password_change: flag,
  totp_config: S.optional(TotpConfig),
  recovery_codes: opt(S.Array(RecoveryCode), []),
  preferences: opt(
    S.Struct({ hide_user_page_sections: count, default_users_expiration: count }),
    { hide_user_page_sections: 0, default_users_expiration: 0 },
  ),
});

const settings = {
  username: S.String,
  status: opt(S.Literal(0, 1), 1),
  email: text,
  description: text,
  additional_info: text,
  permissions: S.Array(AdminPermission),
  filters: opt(AdminFilters, AdminFilters.make({})),
  groups: opt(
    S.Array(S.Struct({
      name: S.String,
      options: S.optional(S.Struct({ add_to_users_as: opt(S.Literal(0, 1, 2), 0) })),
    })),
    [],
  ),
  role: text,
};

const counters = { id: count, created_at: count, updated_at: count, last_login: count };

/** What creates or replaces an admin (API-V2.md, Admin). */
export const AdminInput = S.Struct({
  ...settings,
  ...counters,
  /** Absent keeps the stored one. */
  password: S.optional(S.NullOr(S.String)),
});
export type AdminInput = typeof AdminInput.Type;

/** An operator's account as the server works with it. */
export const Admin = S.Struct({ ...settings, ...counters, password_hash: S.String });
export type Admin = typeof Admin.Type;
