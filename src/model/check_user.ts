import { isAbsolute, normalize, resolve, sep } from "node:path";
import { Either } from "effect";
import type { Settings } from "../config/config.ts";
import { parsePublicKeyLine } from "../identity/ssh_key.ts";
import { checkFilters } from "./check_filters.ts";
import { checkEmail, checkName, checkSize, cleanPath } from "./check_fields.ts";
import { checkMounts } from "./check_mounts.ts";
import { canonicalName } from "./names.ts";
import { Problems } from "./problems.ts";
import type { Permission, UserInput } from "./user.ts";

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
    home_dir: checkHome(problems, input.home_dir, username, config),
    permissions: checkPermissions(problems, input.permissions),
    virtual_folders: checkMounts(problems, input.virtual_folders, rules),
    filters: checkFilters(problems, input.filters),
    // The other members may hold secrets that nothing would ever use.
    filesystem: { provider: input.filesystem.provider, ...(osconfig && { osconfig }) },
  };
  return { user, problems: problems.found };
};

const checkHome = (
  problems: Problems,
  home: string,
  username: string,
  config: Settings,
): string => {
  if (home === "") return resolve(config.data_dir, config.common.users_base_dir, username);
  if (home.includes("\0")) problems.add("home_dir", "has a NUL character");
  else if (!isAbsolute(home)) problems.add("home_dir", "must be an absolute path");
  const clean = home.length > 1 ? normalize(home).replace(/(?<=.)[/\\]+$/, "") : home;
  const above = clean.endsWith(sep) ? clean : clean + sep;
  const onDisk = !config.data_provider.url.includes(":memory:");
  if (onDisk && (resolve(config.data_dir) + sep).startsWith(above)) {
    problems.add("home_dir", "holds the server's own data folder; choose another folder");
  }
  return clean;
};

/** BEHAVIOUR PERM-19. */
const checkPermissions = (
  problems: Problems,
  given: UserInput["permissions"],
): Record<string, ReadonlyArray<Permission>> => {
  const out: Record<string, ReadonlyArray<Permission>> = {};
  for (const [key, list] of Object.entries(given)) {
    const field = `permissions[${JSON.stringify(key)}]`;
    const path = cleanPath(problems, field, key);
    if (path === "/" && key !== "/") problems.add(field, "means `/`; write it as `/`");
    else if (path in out) problems.add(field, `is the same directory as ${JSON.stringify(path)}`);
    else out[path] = list.includes("*") ? ["*"] : [...new Set(list)];
  }
  if (!out["/"]?.length) problems.add('permissions["/"]', "at least one permission is needed");
  return out;
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
