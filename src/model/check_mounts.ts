import { checkName, cleanPath } from "./check_fields.ts";
import type { Problems } from "./problems.ts";
import type { VirtualFolderMapping } from "./user.ts";

/** Brings the mounts of a user or group into their stored form: the mapping only (BEHAVIOUR VF-03, VF-06, VF-07). */
export const checkMounts = (
  problems: Problems,
  folders: ReadonlyArray<VirtualFolderMapping>,
  rules: number,
): ReadonlyArray<VirtualFolderMapping> => {
  const mounts = new Set<string>();
  const sources = new Set<string>();
  const limits = new Map<string, string>();
  return folders.map(({ name, virtual_path, quota_size, quota_files, subpath }, i) => {
    const field = `virtual_folders[${i}]`;
    checkName(problems, `${field}.name`, name, rules);
    const path = cleanPath(problems, `${field}.virtual_path`, virtual_path);
    if (mounts.has(path)) problems.add(`${field}.virtual_path`, "is mounted twice");
    mounts.add(path);
    const source = JSON.stringify([name, subpath.replace(/^\//, "")]);
    if (sources.has(source)) problems.add(field, "the same folder and subpath is there twice");
    sources.add(source);
    if ((quota_size === -1) !== (quota_files === -1)) {
      problems.add(`${field}.quota_size`, "and quota_files must both be -1, or neither");
    }
    const limit = `${quota_size} ${quota_files}`;
    if ((limits.get(name) ?? limit) !== limit) {
      problems.add(`${field}.quota_size`, "must be the same for every mount of the folder");
    }
    limits.set(name, limit);
    if (subpath !== "" && !isCanonical(subpath)) {
      problems.add(`${field}.subpath`, "must be a relative path without `.` or `..`, to 191 bytes");
    }
    return { name, virtual_path: path, quota_size, quota_files, subpath };
  });
};

const isCanonical = (path: string): boolean =>
  path.length <= 191 && !path.includes("\\") && !path.includes("\0") &&
  path.replace(/^\//, "").split("/").every((part) => part !== "" && part !== "." && part !== "..");
