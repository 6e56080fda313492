import type { Settings } from "../config/config.ts";
import { checkFilters } from "./check_filters.ts";
import { checkName, checkSize, cleanPath } from "./check_fields.ts";
import { checkMappedPath } from "./check_folder.ts";
import { checkMounts } from "./check_mounts.ts";
import type { GroupInput } from "./group.ts";
import { canonicalName } from "./names.ts";
import { Problems } from "./problems.ts";
import type { Permission } from "./user.ts";

/** Brings a group into its stored form and finds everything wrong with it (BEHAVIOUR GRP-01). */
export const checkGroup = (
  input: GroupInput,
  config: Settings,
): { readonly group: GroupInput; readonly problems: ReadonlyArray<string> } => {
  const problems = new Problems();
  const rules = config.data_provider.naming_rules;
  const name = canonicalName(input.name, rules);
  checkName(problems, "name", name, rules);
  checkSize(problems, input);
  const given = input.user_settings;
  const inner = new Problems();
  if (given.filesystem.provider !== 0) {
    inner.add("filesystem.provider", `${given.filesystem.provider} is not available yet`);
  }
  const { totp_config: _, ...filters } = checkFilters(inner, given.filters);
  const user_settings = {
    ...given,
    home_dir: given.home_dir === ""
      ? ""
      : checkMappedPath(inner, "home_dir", given.home_dir, config),
    permissions: checkPermissions(inner, given.permissions),
    filters: { ...filters, recovery_codes: [], tls_certs: [] },
    filesystem: { provider: given.filesystem.provider },
  };
  inner.found.forEach((what) => problems.found.push(`user_settings.${what}`));
  const virtual_folders = checkMounts(problems, input.virtual_folders, rules);
  return { group: { ...input, name, user_settings, virtual_folders }, problems: problems.found };
};

/** As a user's (BEHAVIOUR PERM-19), but `/` may be absent. */
const checkPermissions = (
  problems: Problems,
  given: GroupInput["user_settings"]["permissions"],
): Record<string, ReadonlyArray<Permission>> => {
  const out: Record<string, ReadonlyArray<Permission>> = {};
  for (const [key, list] of Object.entries(given)) {
    const field = `permissions[${JSON.stringify(key)}]`;
    const path = cleanPath(problems, field, key);
    if (path === "/" && key !== "/") problems.add(field, "means `/`; write it as `/`");
    else if (path in out) problems.add(field, `is the same directory as ${JSON.stringify(path)}`);
    else if (path === "/" && list.length === 0) {
      problems.add(field, "at least one permission is needed");
    } else out[path] = list.includes("*") ? ["*"] : [...new Set(list)];
  }
  return out;
};
