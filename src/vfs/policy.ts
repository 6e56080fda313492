import type { EventAction } from "../events/event.ts";
import type { Permission, User } from "../model/user.ts";
import { isWithin, lineage, parent, type VPath } from "../vpath.ts";
import { isPattern, matchPath } from "./glob.ts";

/**
 * What each operation needs. The VFS asks nothing else, and the permission
 * matrix of the tests is generated from here.
 *
 * `needs`: all of these, on the directory that `at` names (`parent` of the
 * path, or the path `self`). `target`: the same for the second path of rename,
 * copy and links. `patterns`: whether a denied name stops it; a hidden one
 * always does. `event`: what is journalled.
 */
export interface Rule {
  readonly needs: ReadonlyArray<Permission>;
  readonly at: "parent" | "self";
  readonly target?: ReadonlyArray<Permission>;
  readonly writes: boolean;
  readonly patterns: boolean;
  readonly event?: EventAction;
}

const rule = (
  needs: ReadonlyArray<Permission>,
  more: Partial<Omit<Rule, "needs">> = {},
): Rule => ({ needs, at: "parent", writes: false, patterns: true, ...more });

export const operations = {
  stat: rule(["list"], { patterns: false }),
  lstat: rule(["list"], { patterns: false }),
  list: rule(["list"], { at: "self", patterns: false }),
  realpath: rule(["list"], { patterns: false }),
  readlink: rule(["list"], { patterns: false }),
  available: rule([], { patterns: false }),
  read: rule(["download"], { event: "download" }),
  checksum: rule(["download"]),
  create: rule(["upload"], { writes: true, event: "upload" }),
  overwrite: rule(["upload", "overwrite"], { writes: true, event: "upload" }),
  truncate: rule(["overwrite"], { writes: true }),
  chmod: rule(["chmod"], { writes: true }),
  chown: rule(["chown"], { writes: true }),
  chtimes: rule(["chtimes"], { writes: true }),
  mkdir: rule(["create_dirs"], { writes: true, event: "mkdir" }),
  remove: rule(["delete_files"], { writes: true, event: "delete" }),
  rmdir: rule(["delete_dirs"], { writes: true, event: "rmdir" }),
  rename_file: rule(["rename_files"], {
    target: ["rename_files"],
    writes: true,
    event: "rename",
  }),
  rename_dir: rule(["rename_dirs"], { target: ["rename_dirs"], writes: true, event: "rename" }),
  /** What renaming or copying onto an existing file needs besides. */
  replace: rule([], { target: ["overwrite"], writes: true }),
  copy: rule(["copy"], { target: ["copy"], writes: true, event: "copy" }),
  /** What a directory made by a copy needs besides. */
  copy_dir: rule([], { target: ["create_dirs"], writes: true, event: "mkdir" }),
  symlink: rule(["create_symlinks"], { target: ["create_symlinks"], writes: true }),
  /** A second name makes the content readable and writable there, so it needs both rights as well. */
  hardlink: rule(["create_symlinks", "download"], {
    target: ["create_symlinks", "upload"],
    writes: true,
  }),
} as const satisfies Record<string, Rule>;

export type Operation = keyof typeof operations;

/** Members that a summary permission stands for (BEHAVIOUR PERM-06, PERM-09). */
const summaries: Partial<Record<Permission, Permission>> = {
  delete_files: "delete",
  delete_dirs: "delete",
  rename_files: "rename",
  rename_dirs: "rename",
};

/** A user's permissions, resolved per directory (BEHAVIOUR PERM-18). */
export interface Permissions {
  /** Whether the user has `permission` in directory `dir`. */
  has(permission: Permission, dir: VPath): boolean;
  /** Whether `operation` is allowed on `path` by its own (`source`) or its `target` needs. */
  allows(operation: Operation, path: VPath, side?: "source" | "target"): boolean;
  /** Whether anything strictly below `path` may have rules of its own (BEHAVIOUR PERM-21). */
  anyBelow(path: VPath): boolean;
}

const maxCached = 1024;

/**
 * Walks from the directory up to `/`; at each level an exact key wins, then
 * pattern keys, longest first and then by code point, so that the answer never
 * depends on the order in which keys were stored. The first hit is everything.
 */
export const permissionsOf = (user: Pick<User, "permissions">): Permissions => {
  const keys = Object.keys(user.permissions);
  const exact = new Map(keys.map((key) => [trim(key), user.permissions[key] ?? []]));
  const patterns = keys.map(trim).filter(isPattern)
    .sort((a, b) => b.length - a.length || (a < b ? -1 : 1));
  const cache = new Map<VPath, ReadonlySet<Permission>>();

  const lookUp = (dir: VPath): ReadonlySet<Permission> => {
    for (const level of lineage(dir)) {
      const found = exact.get(level) ??
        exact.get(patterns.find((pattern) => matchPath(pattern, level)) ?? "");
      if (found) return new Set(found);
    }
    return new Set();
  };
  const at = (dir: VPath): ReadonlySet<Permission> => {
    const known = cache.get(dir);
    if (known) return known;
    if (cache.size >= maxCached) cache.clear();
    const found = lookUp(dir);
    cache.set(dir, found);
    return found;
  };
  const has = (permission: Permission, dir: VPath): boolean => {
    const held = at(dir);
    const summary = summaries[permission];
    return held.has("*") || held.has(permission) || (summary !== undefined && held.has(summary));
  };

  return {
    has,
    allows: (operation, path, side = "source") => {
      const { needs, at: where, target }: Rule = operations[operation];
      const dir = side === "source" && where === "self" ? path : parent(path);
      return (side === "target" ? target ?? [] : needs).every((need) => has(need, dir));
    },
    anyBelow: (path) =>
      [...exact.keys()].some((key) =>
        isPattern(key) || (key !== path && isWithin(path, key as VPath))
      ) || exact.has(path),
  };
};

const trim = (key: string): string => key.length > 1 ? key.replace(/\/+$/, "") || "/" : key;
