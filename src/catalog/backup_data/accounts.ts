import { Effect } from "effect";
import { AdminInput } from "../../model/admin.ts";
import { checkAdmin } from "../../model/check_admin.ts";
import { checkPassword } from "../../model/check_password.ts";
import { checkUser } from "../../model/check_user.ts";
import { type User, UserInput } from "../../model/user.ts";
import { fromRow as adminFromRow, toColumns as adminColumns } from "../admins.ts";
import type { AdminsTable, UsersTable } from "../rows.ts";
import { fromRow as userFromRow, toColumns as userColumns } from "../user_rows.ts";
import {
  changedFields,
  type Ground,
  type Need,
  type Part,
  type Prepared,
  reading,
  type Row,
  type RowOf,
} from "./part.ts";
import { factorProblems, type Factors, mergeFactors } from "./secrets.ts";

const storages = [
  ...["s3config", "gcsconfig", "azblobconfig", "cryptconfig", "sftpconfig", "httpconfig"],
].map((name) => `filesystem.${name}`);

/** What the file says about a password: a hash, plain text, none (`""`), or nothing. */
const passwordOf = (
  given: string | null | undefined,
  { passwords, config }: Ground,
  minEntropy: number,
) => {
  const text = given ?? undefined;
  const { recognises } = passwords;
  const plain = text !== undefined && text !== "" && !recognises(text);
  return {
    problems: checkPassword("password", text, {
      minEntropy: minEntropy || config.data_provider.password_min_entropy,
      recognises,
    }),
    hash: plain ? "" : text ?? "",
    ...(plain && { plain: text }),
    keepsPassword: text === undefined,
  };
};

const filtersOf = (row: Row): Factors => JSON.parse(String(row["settings"])).filters;

/** The row with password and second factors as the file and what is stored together say. */
const mergeAccount = (given: Prepared, stored: Row | undefined, hash: string, ground: Ground) => {
  const settings = JSON.parse(String(given.row["settings"]));
  const before = stored && filtersOf(stored);
  const filters = mergeFactors(settings.filters, before, given.name, ground.key);
  const password_hash = given.keepsPassword
    ? stored?.["password_hash"] ?? ""
    : given.plain === undefined
    ? given.row["password_hash"] ?? ""
    : hash;
  return { ...given.row, settings: JSON.stringify({ ...settings, filters }), password_hash };
};

/** Users (BEHAVIOUR section 4). Usage and times of a new one are the file's; of a known one they stay. */
export const usersPart: Part = {
  scope: "users",
  type: "user",
  keys: ["username"],
  members: ["status", "expiration_date", "quota_size", "quota_files", "password_hash"],
  changeable: [
    ...["status", "expiration_date", "quota_size", "quota_files", "settings", "updated_at"],
    ...["password_hash", "last_password_change", "totp_step"],
  ],
  unkept: storages,
  read: reading(UserInput, (input, ground) => {
    const { user, problems } = checkUser(input, ground.config);
    const { problems: weak, hash, ...password } = passwordOf(
      input.password,
      ground,
      user.filters.password_strength,
    );
    const { now } = ground;
    const has = hash !== "" || password.plain !== undefined;
    return {
      ...password,
      problems: [
        ...problems,
        ...weak,
        ...factorProblems(user.filters, user.username, ground.key, ground.config),
      ],
      name: user.username,
      needs: [
        ...user.groups.map((group, i) => need("groups", `groups[${i}].name`, group.name)),
        ...user.virtual_folders.map((mount, i) =>
          need("folders", `virtual_folders[${i}].name`, mount.name)
        ),
      ],
      row: {
        ...userColumns(user),
        password_hash: hash,
        last_password_change: user.last_password_change || (has ? now : 0),
        created_at: user.created_at || now,
        updated_at: user.updated_at || now,
        used_quota_size: user.used_quota_size,
        used_quota_files: user.used_quota_files,
        last_quota_update: user.last_quota_update,
        used_upload_data_transfer: user.used_upload_data_transfer,
        used_download_data_transfer: user.used_download_data_transfer,
        last_login: user.last_login,
        first_upload: user.first_upload,
        first_download: user.first_download,
        totp_step: -1,
      },
    };
  }),
  canonical: (row) =>
    Effect.map(userFromRow(row as RowOf<UsersTable>), ({ password_hash, ...user }: User) => ({
      ...row,
      ...userColumns({ ...user, has_password: false }),
      password_hash,
    })),
  merge: (given, stored, hash, ground) => {
    const row = mergeAccount(given, stored, hash, ground);
    if (!stored) return row;
    const factor = (r: Row) => filtersOf(r).totp_config;
    const rekeyed = changedFields(factor(stored), factor(row)).length > 0;
    return {
      ...row,
      updated_at: ground.now,
      // A code that was used stays used.
      totp_step: rekeyed ? -1 : stored["totp_step"] ?? -1,
      last_password_change: row.password_hash === stored["password_hash"]
        ? stored["last_password_change"] ?? 0
        : given.row["last_password_change"] ?? ground.now,
    };
  },
  lacking: () => undefined,
};

/** Administrators (BEHAVIOUR section 7.3). */
export const adminsPart: Part = {
  scope: "admins",
  type: "admin",
  keys: ["username"],
  members: ["status", "password_hash"],
  changeable: ["status", "settings", "updated_at", "password_hash"],
  unkept: [],
  read: reading(AdminInput, (input, ground) => {
    const { admin, problems } = checkAdmin(input, ground.config);
    const { problems: weak, hash, ...password } = passwordOf(input.password, ground, 0);
    const none = input.password === "" ? ["password: an admin needs one"] : [];
    return {
      ...password,
      problems: [
        ...problems,
        ...weak,
        ...none,
        ...factorProblems(admin.filters, admin.username, ground.key, ground.config),
      ],
      name: admin.username,
      needs: [],
      row: {
        ...adminColumns(admin),
        password_hash: hash,
        created_at: admin.created_at || ground.now,
        updated_at: admin.updated_at || ground.now,
        last_login: admin.last_login,
      },
    };
  }),
  canonical: (row) =>
    Effect.map(adminFromRow(row as RowOf<AdminsTable>), ({ password_hash, ...admin }) => ({
      ...row,
      ...adminColumns(admin),
      password_hash,
    })),
  merge: (given, stored, hash, ground) => ({
    ...mergeAccount(given, stored, hash, ground),
    ...(stored && { updated_at: ground.now }),
  }),
  lacking: (row) => row["password_hash"] === "" ? "password: an admin needs one" : undefined,
};

const need = (scope: Need["scope"], field: string, name: string): Need => ({ scope, field, name });
