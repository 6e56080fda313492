import type { PatternsFilter, User } from "../model/user.ts";
import { basename, isWithin, lineage, parent, type VPath } from "../vpath.ts";
import { matchName } from "./glob.ts";

/** `deny`: listed, but not to be used. `hide`: as if it did not exist (BEHAVIOUR PAT-05, PAT-06). */
export type Verdict = "allow" | "deny" | "hide";

/** A user's file patterns (BEHAVIOUR section 6). */
export interface Patterns {
  verdict(path: VPath): Verdict;
  /** Whether names below `path` may be judged at all: recursive operations then look at each. */
  anyBelow(path: VPath): boolean;
}

export const patternsOf = (user: Pick<User, "filters">): Patterns => {
  const filters = new Map(user.filters.file_patterns.map((f) => [trim(f.path), lower(f)]));

  /** The filter that judges the names in `dir`: nearest ancestor's, deeper wins (PAT-03). */
  const filterFor = (dir: VPath): PatternsFilter | undefined => {
    let below: VPath | undefined;
    for (const level of lineage(dir)) {
      const found = filters.get(level);
      if (found) return below && exempts(found, basename(below)) ? undefined : found;
      below = level;
    }
    return undefined;
  };
  const judge = (path: VPath): Verdict => {
    if (path === "/") return "allow";
    const filter = filterFor(parent(path));
    if (!filter || accepts(filter, basename(path))) return "allow";
    return filter.deny_policy === 1 ? "hide" : "deny";
  };

  return {
    verdict: (path) => {
      if (filters.size === 0) return "allow";
      if (lineage(parent(path)).some((dir) => judge(dir) === "hide")) return "hide";
      return judge(path);
    },
    anyBelow: (path) =>
      filterFor(path) !== undefined ||
      [...filters.keys()].some((key) => isWithin(path, key as VPath)),
  };
};

/** Allowed match accepts, else denied match refuses, else only an allow list refuses (PAT-02). */
const accepts = (filter: PatternsFilter, name: string): boolean => {
  const folded = name.toLowerCase();
  if (filter.allowed_patterns.some((pattern) => matchName(pattern, folded))) return true;
  if (filter.denied_patterns.some((pattern) => matchName(pattern, folded))) return false;
  return filter.allowed_patterns.length === 0;
};

/** PAT-04: below a directory that is itself allowed by an "only these" filter, that filter is silent. */
const exempts = (filter: PatternsFilter, directory: string): boolean =>
  filter.allowed_patterns.length > 0 && filter.denied_patterns.includes("*") &&
  accepts(filter, directory);

const lower = (filter: PatternsFilter): PatternsFilter => ({
  ...filter,
  allowed_patterns: filter.allowed_patterns.map((p) => p.toLowerCase()),
  denied_patterns: filter.denied_patterns.map((p) => p.toLowerCase()),
});

const trim = (key: string): string => key.length > 1 ? key.replace(/\/+$/, "") || "/" : key;
