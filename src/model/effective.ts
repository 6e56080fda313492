import type { Folder } from "./folder.ts";
import type { Group } from "./group.ts";
import type { User, UserFilters, VirtualFolderMapping } from "./user.ts";

type Who = Pick<User, "username" | "role">;
const dayMs = 86_400_000;

/**
 * The user as sessions see him: what his groups give merged into a copy, never
 * stored (BEHAVIOUR GRP-02 to GRP-10). Primary first, then the secondary groups
 * in the order of the user's list, so that a collision has one answer (DIS-18).
 * Every mount carries its folder's members. An anonymous user keeps
 * `list` and `download` of his permissions. Any other without groups and folders is
 * answered as he is.
 */
export const effectiveUser = (
  user: User,
  groups: ReadonlyMap<string, Group>,
  folders: ReadonlyMap<string, Folder>,
): User => {
  if (user.groups.length === 0 && user.virtual_folders.length === 0) return harmless(user);
  const ofType = (type: 1 | 2) =>
    user.groups.filter((g) => g.type === type).flatMap((g) => groups.get(g.name) ?? []);
  let merged = user;
  for (const group of ofType(1)) merged = withMany(withPrimary(merged, group), group, true);
  for (const group of ofType(2)) merged = withMany(merged, group, false);
  return harmless({
    ...merged,
    virtual_folders: merged.virtual_folders.flatMap((mount) => {
      const folder = folders.get(mount.name);
      const mapped_path = folder && fill(folder.mapped_path, user);
      return folder && mapped_path !== undefined ? [{ ...folder, ...mount, mapped_path }] : [];
    }),
  });
};

/** Anonymous users list and download, where they may do anything at all, and no more (BEHAVIOUR AUTH-16). */
const harmless = (user: User): User => {
  if (!user.filters.is_anonymous) return user;
  const permissions = Object.entries(user.permissions).map(([path, given]) => {
    const kept = (["list", "download"] as const).filter((right) =>
      given.includes("*") || given.includes(right)
    );
    return [path, kept] as const;
  });
  return { ...user, permissions: Object.fromEntries(permissions) };
};

/** Puts values in for `%username%` and `%role%`; undefined where one is empty or could lead elsewhere (GRP-09). */
const fill = (text: string, who: Who): string | undefined => {
  let unsafe = false;
  const filled = text.replace(/%(username|role)%/g, (_, name: "username" | "role") => {
    const value = who[name];
    if (value === "" || value === "." || value === ".." || /[/\\\p{Cc}]/u.test(value)) {
      unsafe = true;
    }
    return value;
  });
  return unsafe ? undefined : filled;
};

/** GRP-03, GRP-04: single values, where the user has none of his own; home and storage in any case. */
const withPrimary = (user: User, { user_settings: given }: Group): User => {
  const home = given.home_dir === "" ? undefined : fill(given.home_dir, user);
  const start = given.filters.start_directory === ""
    ? undefined
    : fill(given.filters.start_directory, user);
  const own = user.filters;
  const from = given.filters;
  return {
    ...orGiven(user, given, limits),
    home_dir: home ?? user.home_dir,
    filesystem: given.filesystem.provider !== 0 ? given.filesystem : user.filesystem,
    expiration_date: user.expiration_date === 0 && given.expires_in > 0
      ? user.created_at + given.expires_in * dayMs
      : user.expiration_date,
    filters: {
      ...orGiven(own, from, single),
      start_directory: own.start_directory || (start ?? ""),
      hooks: orGiven(own.hooks, from.hooks, hooks),
    },
  };
};

/** Limits of which 0 is none. */
const limits = [
  "max_sessions",
  "quota_size",
  "quota_files",
  "upload_bandwidth",
  "download_bandwidth",
  "upload_data_transfer",
  "download_data_transfer",
  "total_data_transfer",
] as const;

/** Filters of one value, of which 0, false and empty are none. */
const single = [
  "tls_username",
  "disable_fs_checks",
  "allow_api_key_auth",
  "is_anonymous",
  "max_upload_file_size",
  "external_auth_cache_time",
  "ftp_security",
  "default_shares_expiration",
  "max_shares_expiration",
  "password_expiration",
  "password_strength",
] as const;

const hooks = [
  "external_auth_disabled",
  "pre_login_disabled",
  "check_password_disabled",
] as const;

/** `own` with those of the members `names` that it has not taken from what is `given`. */
const orGiven = <A extends object, K extends keyof A>(
  own: A,
  given: Pick<A, K>,
  names: ReadonlyArray<K>,
): A => {
  const merged = { ...own };
  for (const name of names) merged[name] = own[name] || given[name];
  return merged;
};

/** GRP-05, GRP-06: what adds up. `/` comes from the primary group only. */
const withMany = (user: User, group: Group, primary: boolean): User => {
  const { permissions, filters } = group.user_settings;
  const rights = { ...user.permissions };
  for (const [key, list] of Object.entries(permissions)) {
    const path = fill(key, user);
    if (path === undefined) continue;
    if (path === "/" ? primary : !(path in rights)) rights[path] = list;
  }
  const mounts = [...user.virtual_folders];
  for (const mount of group.virtual_folders) {
    const filled = fillMount(mount, user);
    if (!filled || (filled.virtual_path === "/" && !primary)) continue;
    if (!mounts.some((m) => m.virtual_path === filled.virtual_path)) mounts.push(filled);
  }
  return {
    ...user,
    permissions: rights,
    virtual_folders: mounts,
    filters: addFilters(user.filters, filters, user, primary),
  };
};

const fillMount = (mount: VirtualFolderMapping, who: Who): VirtualFolderMapping | undefined => {
  const virtual_path = fill(mount.virtual_path, who);
  const subpath = fill(mount.subpath, who);
  return virtual_path === undefined || subpath === undefined
    ? undefined
    : { ...mount, virtual_path, subpath };
};

const addFilters = (own: UserFilters, from: UserFilters, who: Who, primary: boolean) => {
  const both = <A>(a: ReadonlyArray<A>, b: ReadonlyArray<A>) => [...new Set([...a, ...b])];
  const patterns = [...own.file_patterns];
  for (const entry of from.file_patterns) {
    const path = fill(entry.path, who);
    if (path === undefined || (path === "/" && !primary)) continue;
    if (!patterns.some((p) => p.path === path)) patterns.push({ ...entry, path });
  }
  return {
    ...own,
    file_patterns: patterns,
    allowed_ip: both(own.allowed_ip, from.allowed_ip),
    denied_ip: both(own.denied_ip, from.denied_ip),
    denied_login_methods: both(own.denied_login_methods, from.denied_login_methods),
    denied_protocols: both(own.denied_protocols, from.denied_protocols),
    two_factor_protocols: both(own.two_factor_protocols, from.two_factor_protocols),
    web_client: both(own.web_client, from.web_client),
    bandwidth_limits: [...own.bandwidth_limits, ...from.bandwidth_limits],
    access_time: [...own.access_time, ...from.access_time],
  };
};
