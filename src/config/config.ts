import { Context, Either, Schema as S } from "effect";
import { parseCidr } from "../guard/cidr.ts";

const withDefault = <A, I>(schema: S.Schema<A, I>, value: A) =>
  S.optionalWith(schema, { default: () => value });
const section = <F extends S.Struct.Fields>(fields: F) => {
  const struct = S.Struct(fields);
  return struct;
};
const Port = S.Int.pipe(S.between(0, 65535));
const Count = S.Int.pipe(S.nonNegative());

/** One address to listen on. Port 0 picks a free one. */
export const Binding = section({ address: withDefault(S.String, ""), port: Port });
export type Binding = typeof Binding.Type;

export const Log = section({
  level: withDefault(S.Literal("debug", "info", "warn", "error"), "info"),
  /** `auto`: pretty on a terminal, else JSON lines. */
  format: withDefault(S.Literal("auto", "json", "pretty"), "auto"),
});

/** BEHAVIOUR section 19. Times are minutes, scores points. */
export const Defender = section({
  enabled: withDefault(S.Boolean, true),
  /** Points of an address within `observation_time` that ban it: at this sum, not beyond it. */
  threshold: withDefault(Count.pipe(S.positive()), 15),
  observation_time: withDefault(Count.pipe(S.positive()), 30),
  ban_time: withDefault(Count.pipe(S.positive()), 30),
  /** Per cent of `ban_time` that each attempt while banned adds; at least a minute unless 0. */
  ban_time_increment: withDefault(Count, 50),
  /** No ban lasts longer from now on, however often it grows. */
  max_ban_time: withDefault(Count.pipe(S.positive()), 7 * 24 * 60),
  /** A login as somebody who does not exist. */
  score_invalid: withDefault(Count, 2),
  /** Wrong credentials of somebody who does. */
  score_valid: withDefault(Count, 1),
  score_limit_exceeded: withDefault(Count, 3),
  score_no_auth: withDefault(Count, 0),
  /** Addresses with points, and as many with a ban, that are remembered: beyond `hard` it is trimmed to `soft`. */
  entries_soft_limit: withDefault(Count.pipe(S.positive()), 10_000),
  entries_hard_limit: withDefault(Count.pipe(S.positive()), 15_000),
});

/** BEHAVIOUR section 20: `average` admissions in each `period` (milliseconds), `burst` at once. */
export const RateLimiter = section({
  average: withDefault(Count, 0),
  period: withDefault(Count.pipe(S.greaterThanOrEqualTo(100)), 1000),
  burst: withDefault(Count.pipe(S.positive()), 1),
  /** 1 for all addresses together, 2 for each. */
  type: withDefault(S.Literal(1, 2), 2),
  protocols: withDefault(S.Array(S.Literal("SSH", "FTP", "DAV", "HTTP")), [
    "SSH",
    "FTP",
    "DAV",
    "HTTP",
  ]),
  /** A refusal counts against its address; of type 2 only. */
  generate_defender_events: withDefault(S.Boolean, false),
});

export const Common = section({
  /** 1: only listed addresses may connect (BEHAVIOUR IPL-02). */
  allowlist_status: withDefault(S.Literal(0, 1), 0),
  defender: S.optionalWith(Defender, { default: () => S.decodeUnknownSync(Defender)({}) }),
  rate_limiters: withDefault(S.Array(RateLimiter), []),
  /** Minutes without activity before a session is closed; 0 never (BEHAVIOUR CONN-06). */
  idle_timeout: withDefault(S.Number.pipe(S.nonNegative()), 15),
  /** 0 direct, 1 safe atomic (default), 2 atomic and keep what a cut new upload left (section 11). */
  upload_mode: withDefault(S.Literal(0, 1, 2), 1),
  /** 0 execute, 1 ignore chmod/chown/chtimes, 2 ignore where the storage cannot (FS-14). */
  setstat_mode: withDefault(S.Literal(0, 1, 2), 0),
  /** Bit 1: clients may create links on local storage (FS-11). */
  symlink_mode: withDefault(S.Literal(0, 1), 0),
  /** Octal text, empty leaves the process's own. */
  umask: withDefault(S.String.pipe(S.pattern(/^[0-7]{0,4}$/)), ""),
  /** Connections in all; 0 no cap. Keep it well below the process's limit of descriptors. */
  max_total_connections: withDefault(Count, 0),
  /** Connections from one address; 0 no cap. */
  max_per_host_connections: withDefault(Count, 20),
  /** Seconds that running transfers get at SIGTERM. */
  grace_time: withDefault(Count, 30),
  /** Directory for homes of users without `home_dir`; relative to the data folder. */
  users_base_dir: withDefault(S.String, "users"),
  /** Threads that serve clients: 0 for one a core, 1 for all in the main thread. */
  workers: withDefault(S.Int.pipe(S.between(0, 64)), 0),
  /** fsync files and directories before an upload is acknowledged. */
  fsync: withDefault(S.Boolean, true),
});

export const Sftpd = section({
  bindings: withDefault(S.Array(Binding), [{ address: "", port: 2022 }]),
  /** 0 means 6, negative unlimited (SSH-05). */
  max_auth_tries: withDefault(S.Int, 6),
  /** Seconds from accept to logged in. */
  login_grace: withDefault(Count, 120),
  /** Connections that have not logged in yet; more are refused. */
  max_startups: withDefault(Count, 100),
  /** Seconds between keepalive probes to a silent client; 0 none. */
  keepalive_interval: withDefault(Count, 60),
  keepalive_count_max: withDefault(Count, 3),
  /** `short` leaves the version number out of the identification string (SSH-09). */
  server_version: withDefault(S.Literal("full", "short"), "full"),
  banner: withDefault(S.String, ""),
  banner_file: withDefault(S.String, ""),
  /** Files, relative to the data folder; empty means ed25519, ecdsa and RSA keys made on first start. */
  host_keys: withDefault(S.Array(S.String), []),
  host_certificates: withDefault(S.Array(S.String), []),
  host_key_algorithms: withDefault(S.Array(S.String), []),
  kex_algorithms: withDefault(S.Array(S.String), []),
  ciphers: withDefault(S.Array(S.String), []),
  macs: withDefault(S.Array(S.String), []),
  public_key_algorithms: withDefault(S.Array(S.String), []),
  /** Bytes and seconds after which the server asks for new keys. */
  rekey_bytes: withDefault(Count, 1024 ** 3),
  rekey_seconds: withDefault(Count, 3600),
  /** Public keys of authorities, inline or as file names (SSH-11). */
  trusted_user_ca_keys: withDefault(S.Array(S.String), []),
  /** JSON array of `SHA256:` fingerprints (SSH-12). */
  revoked_user_certs_file: withDefault(S.String, ""),
  password_authentication: withDefault(S.Boolean, true),
  keyboard_interactive_authentication: withDefault(S.Boolean, true),
  /** `*` enables all (CMD-01). */
  enabled_ssh_commands: withDefault(S.Array(S.String), [
    "md5sum",
    "sha1sum",
    "sha256sum",
    "cd",
    "pwd",
    "scp",
  ]),
  /** Channels that one connection may hold open. */
  max_channels: withDefault(Count, 10),
  /** Files and directories that one SFTP channel may hold open. */
  max_handles: withDefault(Count, 1024),
});

/**
 * An FTP address. `tls_mode`: 0 plain or TLS, 1 TLS required (AUTH TLS), 2 implicit TLS (FTP-02).
 * `client_auth_type`: certificates of clients are 0 not asked for, 1 required, 2 taken if there (FTP-04).
 */
export const FtpBinding = section({
  address: withDefault(S.String, ""),
  port: Port,
  tls_mode: withDefault(S.Literal(0, 1, 2), 1),
  client_auth_type: withDefault(S.Literal(0, 1, 2), 0),
  /** Instead of those of all bindings (FTP-05). */
  certificate_file: withDefault(S.String, ""),
  certificate_key_file: withDefault(S.String, ""),
});
export type FtpBinding = typeof FtpBinding.Type;

export const Ftpd = section({
  bindings: withDefault(S.Array(FtpBinding), [S.decodeUnknownSync(FtpBinding)({ port: 2121 })]),
  /** PEM files, relative to the data folder; empty means one that the server makes and signs itself. */
  certificate_file: withDefault(S.String, ""),
  certificate_key_file: withDefault(S.String, ""),
  /** 12 or 13 (FTP-03). */
  min_tls_version: withDefault(S.Literal(12, 13), 12),
  /** Whether a data connection must resume a TLS session of this server. */
  tls_session_reuse: withDefault(S.Boolean, true),
  /** PEM files of those who sign clients' certificates, relative to the data folder. */
  ca_certificates: withDefault(S.Array(S.String), []),
  /** PEM or DER files of what those have revoked; read again when they change. */
  ca_revocation_lists: withDefault(S.Array(S.String), []),
  /** Names that HOST may ask for (RFC 7151); empty takes any. */
  host_names: withDefault(S.Array(S.String), []),
  /** `start` 0 takes any free port. */
  passive_port_range: S.optionalWith(
    section({ start: withDefault(Port, 50000), end: withDefault(Port, 50100) }).pipe(
      S.filter(({ start, end }) =>
        start === 0 || start <= end || { path: ["end"], message: "must not be before start" }
      ),
    ),
    { default: () => ({ start: 50000, end: 50100 }) },
  ),
  /** What PASV tells clients of certain networks, before `passive_host`; an empty `ip` is the address they came to. */
  passive_ip_overrides: withDefault(
    S.Array(section({
      networks: S.Array(S.String.pipe(
        S.filter((text) => Either.isRight(parseCidr(text)) || "must be an address or a network"),
      )),
      ip: S.String.pipe(
        S.filter((text) =>
          text === "" || /^\d+\.\d+\.\d+\.\d+$/.test(text) || "must be an IPv4 address"
        ),
      ),
    })),
    [],
  ),
  /** What PASV tells clients: an IPv4 address or a name that has one; empty for the address they came to (FTP-06). */
  passive_host: withDefault(S.String, ""),
  /** PORT and EPRT, to the client's own address only. */
  active_transfers: withDefault(S.Boolean, false),
  /** SITE CHMOD, UTIME and SYMLINK (FTP-11). */
  enable_site: withDefault(S.Boolean, false),
  /** HASH, XCRC, XMD5, XSHA1, XSHA256, XSHA512 (FTP-12). */
  hash_support: withDefault(S.Boolean, false),
  /** COMB (FTP-13). */
  combine_support: withDefault(S.Boolean, false),
  banner: withDefault(S.String, ""),
  /** Seconds from accept to logged in (FTP-20). */
  login_grace: withDefault(Count, 120),
  /** Connections that have not logged in yet; more are refused. */
  max_startups: withDefault(Count, 100),
  /** Seconds in which a data connection has to come, and then to move bytes. */
  data_timeout: withDefault(S.Int.pipe(S.positive()), 20),
});

/**
 * An address of HTTP. `client_auth_type`: certificates of clients are 0 not asked for,
 * 1 required of whoever connects, 2 taken if there (DAV-13, HTTP-09).
 */
export const WebBinding = section({
  address: withDefault(S.String, ""),
  port: Port,
  enable_https: withDefault(S.Boolean, false),
  client_auth_type: withDefault(S.Literal(0, 1, 2), 0),
}).pipe(
  S.filter(({ enable_https, client_auth_type }) =>
    enable_https || client_auth_type === 0 ||
    { path: ["client_auth_type"], message: "needs enable_https" }
  ),
);
export type WebBinding = typeof WebBinding.Type;

/** PEM files for `enable_https`, relative to the data folder; empty means one that the server makes and signs itself. */
const webCertificate = {
  certificate_file: withDefault(S.String, ""),
  certificate_key_file: withDefault(S.String, ""),
  /** PEM files of those who sign clients' certificates, relative to the data folder. */
  ca_certificates: withDefault(S.Array(S.String), []),
  /** PEM or DER files of what those have revoked; read again when they change. */
  ca_revocation_lists: withDefault(S.Array(S.String), []),
};

/** The users' web port: the API, and WebDAV under `/dav`; later the pages. */
export const Httpd = section({
  bindings: withDefault(S.Array(WebBinding), [S.decodeUnknownSync(WebBinding)({ port: 8080 })]),
  ...webCertificate,
  /** Hours that an unfinished resumable upload is kept after it last grew. */
  tus_expiration: withDefault(S.Number.pipe(S.positive()), 24),
});

/** Ports of WebDAV's own, where it is the whole tree; it is under `/dav` of the web port besides. */
export const Webdavd = section({
  bindings: withDefault(S.Array(WebBinding), []),
  ...webCertificate,
});

export const DataProvider = section({
  /** Empty: `sluice.db` in the data folder. Else `file:`, `libsql://`, `http(s)://`. */
  url: withDefault(S.String, ""),
  auth_token: withDefault(S.String, ""),
  /** `normal` gives up the last moments before a power cut, never consistency. */
  synchronous: withDefault(S.Literal("full", "normal"), "full"),
  /** Bits: 1 any UTF-8 name, 2 lower-case, 4 trim (DB-12). */
  naming_rules: withDefault(S.Int.pipe(S.between(0, 7)), 5),
  /** argon2id work: KiB, passes, lanes. */
  argon2_memory: withDefault(Count, 19456),
  argon2_iterations: withDefault(Count, 2),
  argon2_parallelism: withDefault(Count, 1),
  /** Least entropy, in bits, of a new password; 0 takes any. */
  password_min_entropy: withDefault(Count, 0),
});

/** A named TOTP profile (MFA-01). */
export const Totp = section({
  name: S.NonEmptyString,
  issuer: withDefault(S.String, "Sluice"),
  algo: withDefault(S.Literal("sha1", "sha256", "sha512"), "sha1"),
});

export const Mfa = section({
  totp: withDefault(S.Array(Totp), [{ name: "Default", issuer: "Sluice", algo: "sha1" }]),
});

export const Telemetry = section({
  bindings: withDefault(S.Array(Binding), [{ address: "127.0.0.1", port: 10000 }]),
});

const all = <A, I>(schema: S.Schema<A, I>) =>
  S.optionalWith(schema, { default: () => S.decodeUnknownSync(schema)({}) });

/** The whole configuration: `sluice.json`, overridden by `SLUICE_...`, overridden by flags. */
export const ConfigSchema = S.Struct({
  data_dir: withDefault(S.String, "data"),
  log: all(Log),
  common: all(Common),
  sftpd: all(Sftpd),
  ftpd: all(Ftpd),
  httpd: all(Httpd),
  webdavd: all(Webdavd),
  data_provider: all(DataProvider),
  mfa: all(Mfa),
  telemetry: all(Telemetry),
});
export type Settings = typeof ConfigSchema.Type;

/** The settings this process runs with. Paths inside are as written; `data_dir` is absolute. */
export class Config extends Context.Tag("sluice/Config")<Config, Settings>() {}
