import { cleanPath } from "./check_fields.ts";
import type { Problems } from "./problems.ts";
import type { Permission } from "./user.ts";

/**
 * Brings the permissions of directories into their stored form (BEHAVIOUR
 * PERM-19). `/` needs at least one, and may be absent only with `rootMayBeAbsent`.
 */
export const checkPermissions = (
  problems: Problems,
  given: Readonly<Record<string, ReadonlyArray<Permission>>>,
  { rootMayBeAbsent }: { readonly rootMayBeAbsent: boolean },
): Record<string, ReadonlyArray<Permission>> => {
  const out: Record<string, ReadonlyArray<Permission>> = {};
  for (const [key, list] of Object.entries(given)) {
    const field = `permissions[${JSON.stringify(key)}]`;
    const path = cleanPath(problems, field, key);
    if (path === "/" && key !== "/") problems.add(field, "means `/`; write it as `/`");
    else if (path in out) problems.add(field, `is the same directory as ${JSON.stringify(path)}`);
    else out[path] = list.includes("*") ? ["*"] : [...new Set(list)];
  }
  const root = out["/"];
  if (root ? root.length === 0 : !rootMayBeAbsent) {
    problems.add('permissions["/"]', "at least one permission is needed");
  }
  return out;
};
