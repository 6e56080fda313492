import assert from "node:assert/strict";
import { Context, Effect, Layer, Schema as S } from "effect";
import { intentLog } from "../../adapters/intents/layer.ts";
import { libsqlLayer } from "../../adapters/libsql/layer.ts";
import { Folders, Groups, Users } from "../../src/catalog/catalog.ts";
import { attempt, Writer } from "../../src/catalog/database.ts";
import { Config } from "../../src/config/config.ts";
import { FolderInput } from "../../src/model/folder.ts";
import { GroupInput } from "../../src/model/group.ts";
import { live, tempDir } from "../harness.ts";
import { operator, quickPasswords, settings, user } from "./world.ts";

for (const what of ["groups", "folders"] as const) {
  live(
    `DIS-14: Users.effective() fails for a user whose ${what} are gone, and removing one in use is refused`,
    () =>
      Effect.gen(function* () {
        const dir = yield* tempDir;
        const base = Layer.merge(intentLog("hub"), quickPasswords).pipe(
          Layer.provideMerge(Layer.succeed(Config, settings(dir))),
        );
        const context = yield* Layer.build(Layer.provide(libsqlLayer, base));
        const users = Context.get(context, Users);
        const folders = Context.get(context, Folders);
        const groups = Context.get(context, Groups);
        yield* folders.add(
          S.decodeUnknownSync(FolderInput)({ name: "pool", mapped_path: `${dir}/pool` }),
          operator,
        );
        const denied = { filters: { denied_protocols: ["FTP"] } };
        yield* groups.add(
          S.decodeUnknownSync(GroupInput)({ name: "staff", user_settings: denied }),
          operator,
        );
        yield* users.add(
          user("ann", {
            groups: [{ name: "staff", type: 2 }],
            virtual_folders: [{ name: "pool", virtual_path: "/pool" }],
          }),
          operator,
        );
        const before = yield* users.effective("ann");
        assert.deepEqual(before?.filters.denied_protocols, ["FTP"]);
        const refused = yield* Effect.flip(
          what === "groups" ? groups.remove("staff", operator) : folders.remove("pool", operator),
        );
        assert.equal(refused.reason, "InUse");
        assert.match(refused.message, /ann/);
        // As a database is that was edited by hand, or half restored.
        yield* Context.get(context, Writer).transact(
          "edit",
          (trx) => attempt("edit", () => trx.deleteFrom(what).execute()),
        );
        const gone = yield* Effect.flip(users.effective("ann"));
        assert.equal(gone.reason, "Corrupt");
      }),
  );
}
