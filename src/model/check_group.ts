import type { Settings } from "../config/config.ts";
import { checkFilters } from "./check_filters.ts";
import { checkName, checkSize } from "./check_fields.ts";
import { checkMappedPath } from "./check_folder.ts";
import { checkMounts } from "./check_mounts.ts";
import { checkPermissions } from "./check_permissions.ts";
import type { GroupInput } from "./group.ts";
import { canonicalName } from "./names.ts";
import { Problems } from "./problems.ts";

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
    permissions: checkPermissions(inner, given.permissions, { rootMayBeAbsent: true }),
    filters: { ...filters, recovery_codes: [], tls_certs: [] },
    filesystem: { provider: given.filesystem.provider },
  };
  inner.found.forEach((what) => problems.found.push(`user_settings.${what}`));
  const virtual_folders = checkMounts(problems, input.virtual_folders, rules);
  return { group: { ...input, name, user_settings, virtual_folders }, problems: problems.found };
};
