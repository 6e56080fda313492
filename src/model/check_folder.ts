import { isAbsolute, normalize, resolve, sep } from "node:path";
import type { Settings } from "../config/config.ts";
import { checkName, checkSize } from "./check_fields.ts";
import type { FolderInput } from "./folder.ts";
import { canonicalName } from "./names.ts";
import { Problems } from "./problems.ts";

/** Brings a folder into its stored form and finds everything wrong with it (BEHAVIOUR VF-01). */
export const checkFolder = (
  input: FolderInput,
  config: Settings,
): { readonly folder: FolderInput; readonly problems: ReadonlyArray<string> } => {
  const problems = new Problems();
  const rules = config.data_provider.naming_rules;
  const name = canonicalName(input.name, rules);
  checkName(problems, "name", name, rules);
  checkSize(problems, input);
  if (input.filesystem.provider !== 0) {
    problems.add("filesystem.provider", `${input.filesystem.provider} is not available yet`);
  }
  const { osconfig } = input.filesystem;
  return {
    folder: {
      ...input,
      name,
      mapped_path: checkMappedPath(problems, "mapped_path", input.mapped_path, config),
      filesystem: { provider: input.filesystem.provider, ...(osconfig && { osconfig }) },
    },
    problems: problems.found,
  };
};

/** An absolute folder on disk that does not hold the server's own data. */
export const checkMappedPath = (
  problems: Problems,
  field: string,
  given: string,
  config: Settings,
): string => {
  if (given === "") problems.add(field, "is needed");
  else if (given.includes("\0")) problems.add(field, "has a NUL character");
  else if (!isAbsolute(given)) problems.add(field, "must be an absolute path");
  const clean = given.length > 1 ? normalize(given).replace(/(?<=.)[/\\]+$/, "") : given;
  const above = clean.endsWith(sep) ? clean : clean + sep;
  const onDisk = !config.data_provider.url.includes(":memory:");
  if (onDisk && clean !== "" && (resolve(config.data_dir) + sep).startsWith(above)) {
    problems.add(field, "holds the server's own data folder; choose another folder");
  }
  return clean;
};
