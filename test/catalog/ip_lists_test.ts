import assert from "node:assert/strict";
import { Context, Effect, Layer } from "effect";
import { sql } from "kysely";
import { intentLog } from "../../adapters/intents/layer.ts";
import { libsqlLayer } from "../../adapters/libsql/layer.ts";
import { attempt, Writer } from "../../src/catalog/database.ts";
import { GuardStore } from "../../src/catalog/guard.ts";
import { Config } from "../../src/config/config.ts";
import type { IpListEntry } from "../../src/model/ip_list.ts";
import { live, tempDir } from "../harness.ts";
import { operator, quickPasswords, settings } from "./world.ts";

live(
  "GuardStore answers entries as they were given, and a row that is none is Corrupt",
  () =>
    Effect.gen(function* () {
      const base = Layer.merge(intentLog("hub"), quickPasswords).pipe(
        Layer.provideMerge(Layer.succeed(Config, settings(yield* tempDir))),
      );
      const context = yield* Layer.build(Layer.provide(libsqlLayer, base));
      const store = Context.get(context, GuardStore);
      const given: IpListEntry = {
        ipornet: "10.0.0.7",
        type: 2,
        mode: 2,
        protocols: 5,
        description: "a",
        created_at: 0,
        updated_at: 0,
      };
      const added = yield* store.addEntry(given, operator);
      assert.deepEqual(added, { ...given, ipornet: "10.0.0.7/32", ...timesOf(added) });
      assert.deepEqual(yield* store.findEntry(2, "10.0.0.7"), added);
      const updated = yield* store.updateEntry({ ...added, mode: 1 }, operator);
      assert.deepEqual(updated, { ...added, mode: 1, ...timesOf(updated) });
      assert.deepEqual(yield* store.listEntries({ type: 2, limit: 9, from: "" }), [updated]);
      // As a database is that was edited by hand.
      yield* Context.get(context, Writer).transact(
        "edit",
        (trx) => attempt("edit", () => sql`update ip_lists set mode = 3`.execute(trx)),
      );
      const damaged = yield* Effect.flip(store.snapshot(0));
      assert.equal(damaged.reason, "Corrupt");
      assert.match(damaged.message, /10\.0\.0\.7/);
    }),
);

const timesOf = ({ created_at, updated_at }: IpListEntry) => {
  assert.ok(created_at > 0 && updated_at >= created_at);
  return { created_at, updated_at };
};
