/** What a dump can hold, in the order in which it is loaded: what is referred to comes first. */
export const scopes = ["folders", "groups", "users", "admins", "ip_lists"] as const;
export type Scope = typeof scopes[number];

/**
 * Parts of API-V2.md's BackupData that this version keeps nothing of: the
 * member, and its name among DumpDataScopes. A file may have them empty.
 */
export const absent: Readonly<Record<string, string>> = {
  api_keys: "api_keys",
  shares: "shares",
  event_actions: "actions",
  event_rules: "rules",
  roles: "roles",
  configs: "configs",
};

/** The version that SFTPGo 2.7 writes; 16 differs only in placeholders of event actions (BEHAVIOUR PH-08). */
export const dumpVersion = 17;
export const knownVersions: ReadonlyArray<unknown> = [16, 17];

/** What happens to one object of the file. */
export type Action = "add" | "update" | "same" | "skip";

/** One object of the file against what is stored. */
export interface Change {
  readonly scope: Scope;
  readonly name: string;
  readonly action: Action;
  /** Members that an update changes, as paths; never their values. */
  readonly fields: ReadonlyArray<string>;
}

/** Null, "", 0, false, and lists and objects of nothing else: what leaving it out would mean too. */
export const isEmpty = (value: unknown): boolean =>
  value === undefined || value === null || value === "" || value === 0 || value === false ||
  (typeof value === "object" && Object.values(value).every(isEmpty));

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
