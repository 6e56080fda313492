import type { Settings } from "./config.ts";
import { originOf } from "./load.ts";

/** One effective value. `source` is `default`, a file, a variable or a flag. */
export interface Row {
  readonly key: string;
  readonly value: unknown;
  readonly source: string;
}

const secrets = new Set(["data_provider.auth_token"]);

/** Flattens the settings for `config show`; secrets are replaced by `[redacted]`. */
export const rows = (settings: Settings, origins: ReadonlyMap<string, string>): Row[] => {
  const found: Row[] = [];
  const walk = (key: string, value: unknown): void => {
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      for (const [k, v] of Object.entries(value)) walk(key === "" ? k : `${key}.${k}`, v);
    } else if (Array.isArray(value) && value.some((v) => typeof v === "object")) {
      value.forEach((v, i) => walk(`${key}.${i}`, v));
    } else {
      found.push({ key, value: hide(key, value), source: originOf(origins, key) ?? "default" });
    }
  };
  walk("", settings);
  return found;
};

/** A database URL may carry `?authToken=` or `user:password@`; both are secrets. */
const hide = (key: string, value: unknown): unknown => {
  if (secrets.has(key)) return value === "" ? "" : "[redacted]";
  if (key === "data_provider.url" && typeof value === "string") {
    return value.replace(/\/\/[^/@]*@/, "//[redacted]@")
      .replace(/(authToken=)[^&]*/gi, "$1[redacted]");
  }
  return value;
};
