import { Clock, Effect, Layer } from "effect";
import type { Selectable } from "kysely";
import { Config } from "../config/config.ts";
import type { CatalogError } from "../errors.ts";
import { Passwords } from "../identity/passwords.ts";
import { Admin, type AdminInput } from "../model/admin.ts";
import { checkAdmin } from "../model/check_admin.ts";
import { checkPassword } from "../model/check_password.ts";
import { canonicalName } from "../model/names.ts";
import { invalid } from "../model/problems.ts";
import { nameDuplicate, noSuch, readStored, recordChange, withFactors } from "./accounts.ts";
import { Admins } from "./catalog.ts";
import { attempt, Database, type Db, whenFree, Writer } from "./database.ts";
import { type AdminsTable, exact } from "./rows.ts";

/** Operators in the catalog. */
export const adminsLayer: Layer.Layer<Admins, never, Database | Writer | Config | Passwords> = Layer
  .effect(
    Admins,
    Effect.gen(function* () {
      const { read, checkpoint } = yield* Database;
      const { transact } = yield* Writer;
      const config = yield* Config;
      const passwords = yield* Passwords;
      const nameOf = (raw: string) => canonicalName(raw, config.data_provider.naming_rules);

      const find = (db: Db, username: string) =>
        Effect.flatMap(
          attempt("read admin", () =>
            db.selectFrom("admins").selectAll().where("username", "=", nameOf(username))
              .executeTakeFirst()),
          (row) =>
            row ? fromRow(row) : Effect.succeed(undefined),
        );
      const require = (db: Db, op: string, username: string) =>
        Effect.filterOrFail(
          find(db, username),
          (admin) => admin !== undefined,
          () => noSuch(op, "admin", username),
        );

      const prepare = (op: string, input: AdminInput) =>
        Effect.gen(function* () {
          const { admin, problems } = checkAdmin(input, config);
          const plain = admin.password ?? undefined;
          const all = [
            ...problems,
            ...checkPassword("password", plain, {
              minEntropy: config.data_provider.password_min_entropy,
              recognises: passwords.recognises,
            }),
          ];
          if (all.length > 0) return yield* invalid(op, all);
          const hash = !plain || passwords.recognises(plain) ? plain : yield* passwords.hash(plain);
          return { admin, hash };
        });

      return Admins.of({
        find: Effect.fn("Admins.find")((username) => whenFree(find(read, username))),

        list: Effect.fn("Admins.list")(function* ({ limit, offset, order }) {
          const rows = yield* whenFree(
            attempt("list admins", () =>
              read.selectFrom("admins").selectAll()
                .orderBy("username", order === "DESC" ? "desc" : "asc")
                .limit(limit).offset(offset).execute()),
          );
          return yield* Effect.forEach(rows, fromRow);
        }),

        add: Effect.fn("Admins.add")(function* (input, by) {
          const { admin, hash } = yield* prepare("add admin", input);
          if (!hash) return yield* invalid("add admin", ["password: an admin needs one"]);
          const filters = withFactors(admin.filters, undefined);
          const added = yield* transact("add admin", (trx) =>
            Effect.gen(function* () {
              const now = yield* Clock.currentTimeMillis;
              yield* attempt("add admin", () =>
                trx.insertInto("admins").values({
                  ...toColumns({ ...admin, filters }),
                  password_hash: hash,
                  created_at: now,
                  updated_at: now,
                  last_login: 0,
                }).execute()).pipe(Effect.mapError(nameDuplicate("admin", admin.username)));
              yield* recordChange(trx, "add", { type: "admin", name: admin.username }, by, now);
              return yield* require(trx, "add admin", admin.username);
            }));
          yield* checkpoint;
          return added;
        }),

        update: Effect.fn("Admins.update")(function* (username, input, by) {
          const { admin, hash } = yield* prepare("update admin", { ...input, username });
          if (hash === "") return yield* invalid("update admin", ["password: an admin needs one"]);
          const updated = yield* transact("update admin", (trx) =>
            Effect.gen(function* () {
              const now = yield* Clock.currentTimeMillis;
              const stored = yield* require(trx, "update admin", username);
              const filters = withFactors(admin.filters, stored.filters);
              const { username: name, ...columns } = toColumns({ ...admin, filters });
              yield* attempt("update admin", () =>
                trx.updateTable("admins").set({
                  ...columns,
                  updated_at: now,
                  ...(hash !== undefined && { password_hash: hash }),
                }).where("username", "=", name).execute());
              yield* recordChange(trx, "update", { type: "admin", name }, by, now);
              return yield* require(trx, "update admin", name);
            }));
          yield* checkpoint;
          return updated;
        }),

        remove: Effect.fn("Admins.remove")(function* (username, by) {
          yield* transact("remove admin", (trx) =>
            Effect.gen(function* () {
              const now = yield* Clock.currentTimeMillis;
              const name = nameOf(username);
              const result = yield* attempt("remove admin", () =>
                trx.deleteFrom("admins").where("username", "=", name).executeTakeFirst());
              if (result.numDeletedRows === 0n) {
                return yield* noSuch("remove admin", "admin", name);
              }
              yield* recordChange(trx, "delete", { type: "admin", name }, by, now);
            }));
          yield* checkpoint;
        }),

        count: Effect.map(
          attempt(
            "count admins",
            () =>
              read.selectFrom("admins").select(({ fn }) => fn.countAll<number>().as("n"))
                .executeTakeFirst(),
          ),
          (row) => row?.n ?? 0,
        ),
      });
    }),
  );

export const toColumns = (input: AdminInput) => {
  const {
    username,
    status,
    password: _,
    id: __,
    created_at: ___,
    updated_at: ____,
    last_login: _____,
    ...settings
  } = input;
  return { username, status, settings: JSON.stringify(settings) };
};

export const fromRow = (row: Selectable<AdminsTable>): Effect.Effect<Admin, CatalogError> => {
  const { settings: _, username, password_hash, ...numbers } = row;
  const counters = Object.fromEntries(Object.entries(numbers).map(([k, v]) => [k, exact(v)]));
  return readStored(Admin, "admin", row, { username, password_hash, ...counters });
};
