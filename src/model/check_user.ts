import { resolve } from "node:path";
import { Either } from "effect";
import type { Settings } from "../config/config.ts";
import { parsePublicKeyLine } from "../identity/ssh_key.ts";
import { checkFilters } from "./check_filters.ts";
import { checkEmail, checkName, checkSize } from "./check_fields.ts";
import { checkMappedPath } from "./check_folder.ts";
import { checkMounts } from "./check_mounts.ts";
import { checkPermissions } from "./check_permissions.ts";
import { canonicalName } from "./names.ts";
import { Problems } from "./problems.ts";
import type { UserInput } from "./user.ts";

/**
 * Brings a user into its stored form and finds everything wrong with it (BEHAVIOUR sections 4 to 6).
 *
 * Every problem begins with the field it is about. The password is not looked at.
 */
export const checkUser = (
  input: UserInput,
  config: Settings,
): { readonly user: UserInput; readonly problems: ReadonlyArray<string> } => {
  const problems = new Problems();
  const rules = config.data_provider.naming_rules;
  const username = canonicalName(input.username, rules);
  checkName(problems, "username", username, rules);
  checkEmail(problems, "email", input.email);
  checkSize(problems, input);
  if (input.filesystem.provider !== 0) {
    problems.add("filesystem.provider", `${input.filesystem.provider} is not available yet`);
  }
  input.public_keys.forEach((line, i) => {
    const key = parsePublicKeyLine(line);
    if (Either.isLeft(key)) problems.add(`public_keys[${i}]`, key.left);
  });
  checkMemberships(problems, input, rules);
  const { osconfig } = input.filesystem;
  const user = {
    ...input,
    username,
    public_keys: input.public_keys.map((line) => line.trim()),
    home_dir: input.home_dir === ""
      ? resolve(config.data_dir, config.common.users_base_dir, username)
      : checkMappedPath(problems, "home_dir", input.home_dir, config),
    permissions: checkPermissions(problems, input.permissions, { rootMayBeAbsent: false }),
    virtual_folders: checkMounts(problems, input.virtual_folders, rules),
    filters: checkFilters(problems, input.filters),
    // The other members may hold secrets that nothing would ever use.
    filesystem: { provider: input.filesystem.provider, ...(osconfig && { osconfig }) },
  };
  return { user, problems: problems.found };
};

const checkMemberships = (problems: Problems, input: UserInput, rules: number): void => {
  if (input.role !== "") checkName(problems, "role", input.role, rules);
  const groups = new Set<string>();
  input.groups.forEach((group, i) => {
    checkName(problems, `groups[${i}].name`, group.name, rules);
    if (groups.has(group.name)) problems.add(`groups[${i}].name`, "is there twice");
    groups.add(group.name);
  });
  if (input.groups.filter((group) => group.type === 1).length > 1) {
    problems.add("groups", "only one may be the primary group (type 1)");
  }
};
