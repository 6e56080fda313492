import { Clock, Effect, Layer } from "effect";
import { sql } from "kysely";
import { Config } from "../config/config.ts";
import { invalid } from "../model/problems.ts";
import { Passwords } from "../identity/passwords.ts";
import { checkPassword, type PasswordRules } from "../model/check_password.ts";
import { totpProblems } from "../model/check_filters.ts";
import { checkUser } from "../model/check_user.ts";
import { canonicalName } from "../model/names.ts";
import type { UserInput } from "../model/user.ts";
import { nameDuplicate, noSuch, recordChange, withFactors } from "./accounts.ts";
import { type AccountRow, isLoginStale, Users } from "./catalog.ts";
import { effectiveOf } from "./effective.ts";
import { attempt, Database, type Db, whenFree, Writer } from "./database.ts";
import { missing, selectFolders } from "./named_rows.ts";
import { exact } from "./rows.ts";
import { fromRow, toColumns, userReader } from "./user_rows.ts";

/** Users in the catalog. Names are looked up after the naming rules (BEHAVIOUR AUTH-26). */
export const usersLayer: Layer.Layer<Users, never, Database | Writer | Config | Passwords> = Layer
  .effect(
    Users,
    Effect.gen(function* () {
      const { read, checkpoint } = yield* Database;
      const { transact } = yield* Writer;
      const config = yield* Config;
      const passwords = yield* Passwords;
      const rules = config.data_provider.naming_rules;
      const nameOf = (raw: string) => canonicalName(raw, rules);

      const select = (db: Db, username: string) =>
        attempt(
          "read user",
          () =>
            db.selectFrom("users").selectAll().where("username", "=", nameOf(username))
              .executeTakeFirst(),
        );
      const decode = userReader();
      const find = (db: Db, username: string) =>
        Effect.flatMap(
          select(db, username),
          (row) => row ? decode(row) : Effect.succeed(undefined),
        );
      const require = (db: Db, op: string, username: string) =>
        Effect.filterOrFail(
          find(db, username),
          (user) => user !== undefined,
          () => noSuch(op, "user", username),
        );

      /** Groups and folders that a user names have to be there. */
      const referencesThere = (db: Db, op: string, user: UserInput) =>
        Effect.gen(function* () {
          const names = (list: ReadonlyArray<{ readonly name: string }>) => list.map((o) => o.name);
          const problems = [
            ...yield* missing(db, "groups", "groups", names(user.groups)),
            ...yield* missing(db, "folders", "virtual_folders", names(user.virtual_folders)),
          ];
          if (problems.length > 0) return yield* invalid(op, problems);
        });

      /** Checks everything at once, then spends the time of hashing. */
      const prepare = (op: string, input: UserInput) =>
        Effect.gen(function* () {
          const { user, problems } = checkUser(input, config);
          const strength: PasswordRules = {
            minEntropy: user.filters.password_strength || config.data_provider.password_min_entropy,
            recognises: passwords.recognises,
          };
          const plain = user.password ?? undefined;
          const all = [...problems, ...checkPassword("password", plain, strength)];
          if (all.length > 0) return yield* invalid(op, all);
          const encoded = !plain || passwords.recognises(plain)
            ? plain
            : yield* passwords.hash(plain);
          return { user, hash: encoded };
        });

      return Users.of({
        find: Effect.fn("Users.find")((username) => whenFree(find(read, username))),

        effective: Effect.fn("Users.effective")((username) =>
          whenFree(
            Effect.flatMap(
              find(read, username),
              (user) => user ? effectiveOf(read, user) : Effect.succeed(undefined),
            ),
          )
        ),

        usage: Effect.fn("Users.usage")((account) =>
          whenFree<AccountRow | undefined>(
            account.startsWith("/")
              ? Effect.map(
                selectFolders(read, [account.slice(1)]),
                ([folder]) => folder && { ...folder, username: account },
              )
              : find(read, account),
          )
        ),

        list: Effect.fn("Users.list")(function* ({ limit, offset, order }) {
          const rows = yield* whenFree(
            attempt("list users", () =>
              read.selectFrom("users").selectAll()
                .orderBy("username", order === "DESC" ? "desc" : "asc")
                .limit(limit).offset(offset).execute()),
          );
          return yield* Effect.forEach(rows, fromRow);
        }),

        add: Effect.fn("Users.add")(function* (input, by) {
          const { user, hash } = yield* prepare("add user", input);
          const filters = withFactors(user.filters, undefined);
          const added = yield* transact("add user", (trx) =>
            Effect.gen(function* () {
              yield* referencesThere(trx, "add user", user);
              const now = yield* Clock.currentTimeMillis;
              yield* attempt("add user", () =>
                trx.insertInto("users").values({
                  ...toColumns({ ...user, filters }),
                  password_hash: hash ?? "",
                  last_password_change: hash ? now : 0,
                  created_at: now,
                  updated_at: now,
                  used_quota_size: 0,
                  used_quota_files: 0,
                  last_quota_update: 0,
                  used_upload_data_transfer: 0,
                  used_download_data_transfer: 0,
                  last_login: 0,
                  first_upload: 0,
                  first_download: 0,
                  totp_step: -1,
                }).execute()).pipe(Effect.mapError(nameDuplicate("user", user.username)));
              yield* recordChange(trx, "add", { type: "user", name: user.username }, by, now);
              return yield* require(trx, "add user", user.username);
            }));
          yield* checkpoint;
          return added;
        }),

        update: Effect.fn("Users.update")(function* (username, input, by) {
          const { user, hash } = yield* prepare("update user", { ...input, username });
          const updated = yield* transact("update user", (trx) =>
            Effect.gen(function* () {
              const now = yield* Clock.currentTimeMillis;
              const stored = yield* require(trx, "update user", username);
              yield* referencesThere(trx, "update user", user);
              const filters = withFactors(user.filters, stored.filters);
              const { username: _, ...columns } = toColumns({ ...user, filters });
              yield* attempt("update user", () =>
                trx.updateTable("users").set({
                  ...columns,
                  updated_at: now,
                  ...(hash !== undefined && { password_hash: hash, last_password_change: now }),
                }).where("username", "=", stored.username).execute());
              yield* recordChange(trx, "update", { type: "user", name: stored.username }, by, now);
              return yield* require(trx, "update user", username);
            }));
          yield* checkpoint;
          return updated;
        }),

        remove: Effect.fn("Users.remove")(function* (username, by) {
          yield* transact("remove user", (trx) =>
            Effect.gen(function* () {
              const now = yield* Clock.currentTimeMillis;
              const name = nameOf(username);
              const result = yield* attempt("remove user", () =>
                trx.deleteFrom("users").where("username", "=", name).executeTakeFirst());
              if (result.numDeletedRows === 0n) {
                return yield* noSuch("remove user", "user", name);
              }
              yield* recordChange(trx, "delete", { type: "user", name }, by, now);
            }));
          yield* checkpoint;
        }),

        setPasswordHash: Effect.fn("Users.setPasswordHash")(function* (username, hash, options) {
          yield* transact("set password", (trx) =>
            Effect.gen(function* () {
              const now = yield* Clock.currentTimeMillis;
              const name = nameOf(username);
              const change = options.rehash ? {} : { last_password_change: now, updated_at: now };
              const result = yield* attempt("set password", () =>
                trx.updateTable("users").set({ password_hash: hash, ...change })
                  .where("username", "=", name).executeTakeFirst());
              if (result.numUpdatedRows === 0n) {
                return yield* noSuch("set password", "user", name);
              }
              if (options.rehash) {
                return;
              }
              const by = { name };
              yield* recordChange(trx, "update", { type: "user", name }, by, now);
            }));
        }),

        touchLastLogin: Effect.fn("Users.touchLastLogin")(function* (username) {
          const now = yield* Clock.currentTimeMillis;
          const row = yield* whenFree(select(read, username));
          if (!row || !isLoginStale({ last_login: exact(row.last_login) }, now)) return;
          yield* transact(
            "last login",
            (trx) =>
              attempt("last login", () =>
                trx.updateTable("users").set({ last_login: now })
                  .where("username", "=", row.username).execute()),
          );
        }),

        touchFirst: (username, what) =>
          Effect.gen(function* () {
            const now = yield* Clock.currentTimeMillis;
            yield* transact(what, (trx) =>
              attempt(what, () =>
                trx.updateTable("users").set({ [what]: now })
                  .where("username", "=", nameOf(username)).where(what, "=", 0).execute()));
          }).pipe(
            Effect.catchTag("CatalogError", (e) =>
              Effect.logWarning("counter not stored", e)),
          ),

        addTransfer: Effect.fn("Users.addTransfer")(function* (username, way, bytes) {
          const column = way === "upload"
            ? "used_upload_data_transfer" as const
            : "used_download_data_transfer" as const;
          yield* transact(
            "count transfer",
            (trx) =>
              attempt(
                "count transfer",
                () =>
                  trx.updateTable("users").set({ [column]: sql`${sql.ref(column)} + ${bytes}` })
                    .where("username", "=", nameOf(username)).execute(),
              ),
          );
        }),

        setTransfer: Effect.fn("Users.setTransfer")(function* (username, { upload, download }) {
          const result = yield* transact(
            "set transfer",
            (trx) =>
              attempt("set transfer", () =>
                trx.updateTable("users").set({
                  used_upload_data_transfer: upload,
                  used_download_data_transfer: download,
                }).where("username", "=", nameOf(username)).executeTakeFirst()),
          );
          if (result.numUpdatedRows === 0n) return yield* noSuch("set transfer", "user", username);
        }),

        useTotpStep: Effect.fn("Users.useTotpStep")(function* (username, step) {
          const result = yield* transact(
            "one-time code",
            (trx) =>
              attempt("one-time code", () =>
                trx.updateTable("users").set({ totp_step: step })
                  .where("username", "=", nameOf(username)).where("totp_step", "<", step)
                  .executeTakeFirst()),
          );
          return result.numUpdatedRows === 1n;
        }),

        setTotp: Effect.fn("Users.setTotp")(function* (username, totp) {
          const problems = totpProblems(totp, config);
          if (problems.length > 0) return yield* invalid("second factor", problems);
          yield* transact("second factor", (trx) =>
            Effect.gen(function* () {
              const now = yield* Clock.currentTimeMillis;
              const stored = yield* require(trx, "second factor", username);
              const name = stored.username;
              const { totp_config: _, ...others } = stored.filters;
              const filters = { ...others, ...(totp && { totp_config: totp }) };
              const { settings } = toColumns({ ...stored, filters, has_password: false });
              yield* attempt("second factor", () =>
                trx.updateTable("users").set({ settings, totp_step: -1, updated_at: now })
                  .where("username", "=", name).execute());
              yield* recordChange(trx, "update", { type: "user", name }, { name }, now);
            }));
          yield* checkpoint;
        }),

        setUsage: Effect.fn("Users.setUsage")(function* (username, usage) {
          const now = yield* Clock.currentTimeMillis;
          const columns = {
            used_quota_size: sql<number>`max(0, ${usage.bytes})`,
            used_quota_files: sql<number>`max(0, ${usage.files})`,
            last_quota_update: now,
          };
          const result = yield* transact(
            "set usage",
            (trx) =>
              attempt(
                "set usage",
                () =>
                  username.startsWith("/")
                    ? trx.updateTable("folders").set(columns)
                      .where("name", "=", username.slice(1)).executeTakeFirst()
                    : trx.updateTable("users").set(columns)
                      .where("username", "=", nameOf(username)).executeTakeFirst(),
              ),
          );
          if (result.numUpdatedRows === 0n) return yield* noSuch("set usage", "user", username);
        }),
      });
    }),
  );
