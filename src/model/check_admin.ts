import type { Settings } from "../config/config.ts";
import type { AdminInput } from "./admin.ts";
import { checkEmail, checkName, checkNetworks, checkSize } from "./check_fields.ts";
import { canonicalName } from "./names.ts";
import { Problems } from "./problems.ts";

/** Brings an admin into its stored form and finds everything wrong with it (BEHAVIOUR section 7.3). */
export const checkAdmin = (
  input: AdminInput,
  config: Settings,
): { readonly admin: AdminInput; readonly problems: ReadonlyArray<string> } => {
  const problems = new Problems();
  const rules = config.data_provider.naming_rules;
  const username = canonicalName(input.username, rules);
  checkName(problems, "username", username, rules);
  checkEmail(problems, "email", input.email);
  checkSize(problems, input);
  checkNetworks(problems, "filters.allow_list", input.filters.allow_list);
  if (input.permissions.length === 0) {
    problems.add("permissions", "at least one permission is needed");
  }
  if (input.role !== "") checkName(problems, "role", input.role, rules);
  if (input.role !== "" && input.permissions.includes("*")) {
    problems.add("role", "an admin with a role cannot have the permission `*`");
  }
  input.groups.forEach((group, i) => checkName(problems, `groups[${i}].name`, group.name, rules));
  const permissions = input.permissions.includes("*")
    ? ["*" as const]
    : [...new Set(input.permissions)];
  return { admin: { ...input, username, permissions }, problems: problems.found };
};
