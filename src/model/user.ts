import { Schema as S } from "effect";

const opt = <A, I>(schema: S.Schema<A, I>, value: A) =>
  S.optionalWith(schema, { default: () => value, nullable: true });
const text = opt(S.String, "");
const flag = opt(S.Boolean, false);
/** Whole, not negative, exact in a double. Sizes are bytes. */
const Size = S.Number.pipe(S.int(), S.between(0, Number.MAX_SAFE_INTEGER));
const size = opt(Size, 0);
const texts = opt(S.Array(S.String), []);
/** Unix milliseconds; 0 is never. */
const time = size;

export const Permission = S.Literal(
  "*",
  "list",
  "download",
  "upload",
  "overwrite",
  "delete",
  "delete_files",
  "delete_dirs",
  "rename",
  "rename_files",
  "rename_dirs",
  "create_dirs",
  "create_symlinks",
  "chmod",
  "chown",
  "chtimes",
  "copy",
);
export type Permission = typeof Permission.Type;

export const LoginMethod = S.Literal(
  "publickey",
  "password",
  "password-over-SSH",
  "keyboard-interactive",
  "publickey+password",
  "publickey+keyboard-interactive",
  "TLSCertificate",
  "TLSCertificate+password",
);
export type LoginMethod = typeof LoginMethod.Type;

/** A credential that will be sealed (BEHAVIOUR KMS-01). */
export const Secret = S.Struct({
  status: S.Literal(
    "Plain",
    "AES-256-GCM",
    "Secretbox",
    "GCP",
    "AWS",
    "VaultTransit",
    "AzureKeyVault",
    "Redacted",
  ),
  payload: text,
  key: text,
  additional_data: text,
  mode: size,
});

export const PatternsFilter = S.Struct({
  path: S.String,
  allowed_patterns: texts,
  denied_patterns: texts,
  deny_policy: opt(S.Literal(0, 1), 0),
});
export type PatternsFilter = typeof PatternsFilter.Type;

export const BandwidthLimit = S.Struct({
  sources: S.Array(S.String),
  upload_bandwidth: size,
  download_bandwidth: size,
});

export const TimePeriod = S.Struct({
  day_of_week: S.Literal(0, 1, 2, 3, 4, 5, 6),
  from: S.String,
  to: S.String,
});

export const TotpConfig = S.Struct({
  enabled: flag,
  config_name: text,
  secret: S.optional(Secret),
  protocols: opt(S.Array(S.Literal("SSH", "FTP", "HTTP")), []),
});

export type TotpConfig = typeof TotpConfig.Type;

export const RecoveryCode = S.Struct({ secret: Secret, used: flag });

export const Hooks = S.Struct({
  external_auth_disabled: flag,
  pre_login_disabled: flag,
  check_password_disabled: flag,
});

export const WebClientOption = S.Literal(
  "publickey-change-disabled",
  "tls-cert-change-disabled",
  "write-disabled",
  "mfa-disabled",
  "password-change-disabled",
  "api-key-auth-change-disabled",
  "info-change-disabled",
  "shares-disabled",
  "password-reset-disabled",
  "shares-without-password-disabled",
);

export const UserFilters = S.Struct({
  allowed_ip: texts,
  denied_ip: texts,
  denied_login_methods: opt(S.Array(LoginMethod), []),
  denied_protocols: opt(S.Array(S.Literal("SSH", "FTP", "DAV", "HTTP")), []),
  file_patterns: opt(S.Array(PatternsFilter), []),
  max_upload_file_size: size,
  tls_username: opt(S.Literal("", "None", "CommonName"), ""),
  tls_certs: texts,
  hooks: opt(Hooks, Hooks.make({})),
  disable_fs_checks: flag,
  web_client: opt(S.Array(WebClientOption), []),
  allow_api_key_auth: flag,
  user_type: opt(S.Literal("", "LDAPUser", "OSUser"), ""),
  bandwidth_limits: opt(S.Array(BandwidthLimit), []),
  external_auth_cache_time: size,
  start_directory: text,
  two_factor_protocols: opt(S.Array(S.Literal("SSH", "FTP", "HTTP")), []),
  ftp_security: opt(S.Literal(0, 1), 0),
  is_anonymous: flag,
  default_shares_expiration: size,
  max_shares_expiration: size,
  password_expiration: size,
  password_strength: size,
  access_time: opt(S.Array(TimePeriod), []),
  require_password_change: flag,
  totp_config: S.optional(TotpConfig),
  recovery_codes: opt(S.Array(RecoveryCode), []),
  additional_emails: texts,
});
export type UserFilters = typeof UserFilters.Type;

/** Where the home lives. Provider 0 is the local disk; the others are acted on by later work. */
export const Filesystem = S.Struct({
  provider: opt(S.Literal(0, 1, 2, 3, 4, 5, 6), 0),
  osconfig: S.optional(S.Record({ key: S.String, value: S.Unknown })),
  s3config: S.optional(S.Record({ key: S.String, value: S.Unknown })),
  gcsconfig: S.optional(S.Record({ key: S.String, value: S.Unknown })),
  azblobconfig: S.optional(S.Record({ key: S.String, value: S.Unknown })),
  cryptconfig: S.optional(S.Record({ key: S.String, value: S.Unknown })),
  sftpconfig: S.optional(S.Record({ key: S.String, value: S.Unknown })),
  httpconfig: S.optional(S.Record({ key: S.String, value: S.Unknown })),
});

export const VirtualFolderMapping = S.Struct({
  name: S.String,
  virtual_path: S.String,
  quota_size: opt(S.Number.pipe(S.int(), S.greaterThanOrEqualTo(-1)), 0),
  quota_files: opt(S.Number.pipe(S.int(), S.greaterThanOrEqualTo(-1)), 0),
  subpath: text,
  // Members of the folder itself: taken and not stored; an effective user has them.
  id: S.optional(Size),
  mapped_path: S.optional(S.String),
  description: S.optional(S.String),
  used_quota_size: S.optional(Size),
  used_quota_files: S.optional(Size),
  last_quota_update: S.optional(Size),
  users: S.optional(S.NullOr(S.Array(S.String))),
  groups: S.optional(S.NullOr(S.Array(S.String))),
  filesystem: S.optional(Filesystem),
});
export type VirtualFolderMapping = typeof VirtualFolderMapping.Type;

export const GroupMapping = S.Struct({ name: S.String, type: S.Literal(1, 2, 3) });

const settings = {
  username: S.String,
  status: opt(S.Literal(0, 1), 1),
  email: text,
  description: text,
  additional_info: text,
  expiration_date: time,
  public_keys: texts,
  home_dir: text,
  uid: opt(S.Number.pipe(S.int(), S.between(0, 2147483647)), 0),
  gid: opt(S.Number.pipe(S.int(), S.between(0, 2147483647)), 0),
  max_sessions: size,
  quota_size: size,
  quota_files: size,
  permissions: S.Record({ key: S.String, value: S.Array(Permission) }),
  upload_bandwidth: size,
  download_bandwidth: size,
  upload_data_transfer: size,
  download_data_transfer: size,
  total_data_transfer: size,
  virtual_folders: opt(S.Array(VirtualFolderMapping), []),
  groups: opt(S.Array(GroupMapping), []),
  role: text,
  filters: opt(UserFilters, UserFilters.make({})),
  filesystem: opt(Filesystem, Filesystem.make({})),
};

const counters = {
  id: size,
  used_quota_size: size,
  used_quota_files: size,
  last_quota_update: time,
  used_upload_data_transfer: size,
  used_download_data_transfer: size,
  created_at: time,
  updated_at: time,
  last_login: time,
  first_upload: time,
  first_download: time,
  last_password_change: time,
};

/** What an operator sends to create or replace a user (API-V2.md, User). Read-only members are taken and ignored. */
export const UserInput = S.Struct({
  ...settings,
  ...counters,
  /** Plain text, or a hash with a known prefix. Absent keeps the stored one, empty clears it. */
  password: S.optional(S.NullOr(S.String)),
  has_password: flag,
  oidc_custom_fields: S.optional(S.NullOr(S.Record({ key: S.String, value: S.Unknown }))),
});
export type UserInput = typeof UserInput.Type;

/** A user as the server works with it. */
export const User = S.Struct({
  ...settings,
  ...counters,
  /** Encoded hash, `""` when the user has no password. Never leaves the process. */
  password_hash: S.String,
});
export type User = typeof User.Type;
