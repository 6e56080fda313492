import type { Generated } from "kysely";

/** Integers are exact; the driver hands over as bigint what a double cannot hold. */
type Int = number;

export interface SchemaVersionTable {
  version: Int;
  name: string;
  /** Unix milliseconds. */
  applied_at: Int;
}

/** Columns hold what is searched, counted or changed alone; `settings` is the rest, as JSON. */
export interface UsersTable {
  id: Generated<Int>;
  username: string;
  status: Int;
  expiration_date: Int;
  password_hash: string;
  quota_size: Int;
  quota_files: Int;
  used_quota_size: Int;
  used_quota_files: Int;
  last_quota_update: Int;
  used_upload_data_transfer: Int;
  used_download_data_transfer: Int;
  created_at: Int;
  updated_at: Int;
  last_login: Int;
  first_upload: Int;
  first_download: Int;
  last_password_change: Int;
  /** Last one-time code step that was taken; -1 for none. */
  totp_step: Int;
  settings: string;
}

export interface AdminsTable {
  id: Generated<Int>;
  username: string;
  status: Int;
  password_hash: string;
  created_at: Int;
  updated_at: Int;
  last_login: Int;
  settings: string;
}

export interface FoldersTable {
  id: Generated<Int>;
  name: string;
  used_quota_size: Int;
  used_quota_files: Int;
  last_quota_update: Int;
  settings: string;
}

export interface GroupsTable {
  id: Generated<Int>;
  name: string;
  created_at: Int;
  updated_at: Int;
  settings: string;
}

export interface EventsTable {
  id: Generated<Int>;
  timestamp: Int;
  kind: string;
  action: string;
  status: Int;
  username: string;
  ip: string;
  session_id: string;
  virtual_path: string;
  virtual_target_path: string;
  /** The members without a column, as JSON. */
  details: string;
  /** The intent that this settled, if any. */
  intent: string | null;
}

/** Operations between prepare and settle, as versions before 0.2 kept them: read once after an upgrade. */
export interface IntentsTable {
  id: Generated<Int>;
  node: string;
  /** The process that prepared it. */
  process: string;
  event: string;
  intent: string;
  /** JSON, or empty. */
  quota: string;
}

export interface IpListsTable {
  type: Int;
  ipornet: string;
  mode: Int;
  protocols: Int;
  description: string;
  created_at: Int;
  updated_at: Int;
}

/** What an address did wrong; summed over the time of observation. */
export interface DefenderEventsTable {
  id: Generated<Int>;
  ip: string;
  at: Int;
  score: Int;
}

export interface DefenderBansTable {
  ip: string;
  /** Unix milliseconds. */
  until: Int;
}

/** One row, whose version grows with each change of lists or bans. */
export interface GuardChangesTable {
  id: Int;
  version: Int;
}

/** Uploads that outlive their connection; see vfs/upload_records.ts. */
export interface ResumableUploadsTable {
  id: string;
  user_id: Int;
  storage: string;
  path: string;
  kind: string;
  /** JSON. */
  parts: string;
  length: Int;
  reserved: Int;
  metadata: string;
  /** JSON. */
  options: string;
  /** Unix milliseconds since when; 0 for not. */
  finishing: Int;
  created_at: Int;
}

export interface Tables {
  ip_lists: IpListsTable;
  defender_events: DefenderEventsTable;
  defender_bans: DefenderBansTable;
  guard_changes: GuardChangesTable;
  schema_version: SchemaVersionTable;
  users: UsersTable;
  admins: AdminsTable;
  folders: FoldersTable;
  groups: GroupsTable;
  events: EventsTable;
  intents: IntentsTable;
  resumable_uploads: ResumableUploadsTable;
}

/** Reads an integer column; what a double cannot hold exactly becomes the nearest that it can. */
export const exact = (value: number | bigint): number =>
  typeof value === "number"
    ? value
    : value > 0n
    ? Number.MAX_SAFE_INTEGER
    : Number.MIN_SAFE_INTEGER;
