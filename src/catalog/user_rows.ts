import { Effect } from "effect";
import type { Selectable } from "kysely";
import type { CatalogError } from "../errors.ts";
import { User, type UserInput } from "../model/user.ts";
import { readStored } from "./accounts.ts";
import { exact, type UsersTable } from "./rows.ts";

/** The columns that an operator's input decides. */
export const toColumns = (input: UserInput) => ({
  username: input.username,
  status: input.status,
  expiration_date: input.expiration_date,
  quota_size: input.quota_size,
  quota_files: input.quota_files,
  settings: JSON.stringify(settingsOf(input)),
});

/** Everything without a column; a column's value is kept in one place only. */
const settingsOf = (input: UserInput & { readonly password_hash?: string }) => {
  const {
    password_hash: _hash,
    username: _username,
    status: _status,
    expiration_date: _expiration,
    quota_size: _size,
    quota_files: _files,
    password: _password,
    has_password: _has,
    oidc_custom_fields: _oidc,
    id: _id,
    used_quota_size: _usedSize,
    used_quota_files: _usedFiles,
    last_quota_update: _update,
    used_upload_data_transfer: _up,
    used_download_data_transfer: _down,
    created_at: _created,
    updated_at: _updated,
    last_login: _login,
    first_upload: _firstUp,
    first_download: _firstDown,
    last_password_change: _change,
    ...settings
  } = input;
  return settings;
};

export const fromRow = (row: Selectable<UsersTable>): Effect.Effect<User, CatalogError> => {
  const { settings: _, totp_step: __, username, password_hash, ...numbers } = row;
  const counters = Object.fromEntries(Object.entries(numbers).map(([k, v]) => [k, exact(v)]));
  return readStored(User, "user", row, {
    username,
    password_hash,
    ...counters,
    // Below zero only until every thread's changes have come (events/store.ts).
    used_quota_size: Math.max(0, exact(row.used_quota_size)),
    used_quota_files: Math.max(0, exact(row.used_quota_files)),
  });
};

/** Accounts whose last reading is kept. */
const mostKept = 256;

/**
 * {@linkcode fromRow} that answers the same object for a row that has not
 * changed. Checking a row against the schema takes 0.2 ms, several times that of
 * reading it, and a login asks for its user more than once.
 */
export const userReader = (): typeof fromRow => {
  const kept = new Map<string, { readonly row: Selectable<UsersTable>; readonly user: User }>();
  return (row) => {
    const known = kept.get(row.username);
    if (known && sameRow(known.row, row)) return Effect.succeed(known.user);
    return Effect.map(fromRow(row), (user) => {
      kept.delete(row.username);
      kept.set(row.username, { row, user });
      const oldest = kept.size > mostKept ? kept.keys().next().value : undefined;
      if (oldest !== undefined) kept.delete(oldest);
      return user;
    });
  };
};

const sameRow = (one: Selectable<UsersTable>, other: Selectable<UsersTable>): boolean =>
  (Object.keys(one) as Array<keyof UsersTable>).every((column) => one[column] === other[column]) &&
  Object.keys(one).length === Object.keys(other).length;
