/** Bits of `data_provider.naming_rules` (BEHAVIOUR DB-12). */
export const namingRules = { anyText: 1, lowerCase: 2, trim: 4 } as const;

/** Names that mean something to the server itself (BEHAVIOUR DB-13). */
const reserved = new Set(["__self__", "__system__"]);

const devices = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(\..*)?$/i;
const longest = 255;
const encoder = new TextEncoder();

/** A name as it is stored and looked up. */
export const canonicalName = (raw: string, rules: number): string => {
  const trimmed = rules & namingRules.trim ? raw.trim() : raw;
  return rules & namingRules.lowerCase ? trimmed.toLowerCase() : trimmed;
};

/**
 * What is wrong with an object's name, or undefined (BEHAVIOUR FS-20, DB-12, DB-13).
 *
 * Names become folder names below `users_base_dir`, so nothing that a file
 * system could read as a path, a device or another name gets through (CVE-2026-30915).
 */
export const nameProblem = (name: string, rules: number): string | undefined => {
  if (name === "") return "a name is needed";
  if (/\p{Surrogate}|\ufffd/u.test(name)) return "has a character that is not valid UTF-8";
  if (/[\p{Cc}\p{Cf}\u2028\u2029]/u.test(name)) return "has a control or invisible character";
  if (name === "." || name === "..") return "must not be `.` or `..`";
  const bad = /[/\\:*?"<>|]/.exec(name);
  if (bad) return `must not have ${bad[0]} in it`;
  if (/[.\s]$/u.test(name)) return "must not end with a dot or a space";
  if (/^\s/u.test(name)) return "must not begin with a space";
  if (devices.test(name)) return "is the name of a device on Windows";
  if (encoder.encode(name).length > longest) return `is longer than ${longest} bytes`;
  if (reserved.has(name.toLowerCase())) return "is reserved for the server";
  if (!(rules & namingRules.anyText) && !/^[A-Za-z0-9._~-]+$/.test(name)) {
    return "may only have letters, digits and - . _ ~ (data_provider.naming_rules)";
  }
  return undefined;
};
