import * as fs from "node:fs";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { Effect, Layer } from "effect";
import { sql } from "kysely";
import { journalLayer } from "../../actors/journal.ts";
import { hubSink } from "../../actors/journal_sink.ts";
import { writerLayer } from "../../actors/writer.ts";
import { adminsLayer } from "../../src/catalog/admins.ts";
import {
  type Admins,
  Catalog,
  type Folders,
  type Groups,
  type Users,
} from "../../src/catalog/catalog.ts";
import { attempt, Database, whenFree, type Writer } from "../../src/catalog/database.ts";
import { schemaVersion } from "../../src/catalog/migrate.ts";
import { foldersLayer } from "../../src/catalog/folders.ts";
import { groupsLayer } from "../../src/catalog/groups.ts";
import { type GuardStore, guardStoreLayer } from "../../src/catalog/guard.ts";
import { usersLayer } from "../../src/catalog/users.ts";
import { Config, type Settings } from "../../src/config/config.ts";
import { CatalogError } from "../../src/errors.ts";
import type { IntentLog } from "../../src/events/intent_log.ts";
import type { Journal } from "../../src/events/journal.ts";
import type { EventStore, JournalSink } from "../../src/events/journal_sink.ts";
import type { Passwords } from "../../src/identity/passwords.ts";
import { backup, integrity } from "./backup.ts";
import { open, placeOf } from "./open.ts";

const databaseLayer: Layer.Layer<Database, CatalogError, Config> = Layer.scoped(
  Database,
  Effect.gen(function* () {
    const config = yield* Config;
    const { read, write } = yield* open(config);
    const place = placeOf(config);
    return Database.of({
      read,
      write,
      node: place.kind === "remote" ? yield* nodeName(config) : "local",
      checkpoint: place.kind === "file"
        ? Effect.ignore(
          attempt("checkpoint", () => sql`PRAGMA wal_checkpoint(PASSIVE)`.execute(read)),
        )
        : Effect.void,
    });
  }),
);

const catalogLayer: Layer.Layer<Catalog, never, Database | Config> = Layer.effect(
  Catalog,
  Effect.gen(function* () {
    const { read } = yield* Database;
    const local = placeOf(yield* Config).kind !== "remote";
    return Catalog.of({
      schemaVersion: whenFree(schemaVersion(read)),
      check: whenFree(local ? integrity(read) : Effect.as(schemaVersion(read), [])),
      backup: Effect.fn("Catalog.backup")((file) => backup(read, local, file)),
    });
  }),
);

/**
 * Everything that the database gives: embedded file, memory, or libSQL server, as
 * `data_provider.url` says. Opens and migrates; fails with Corrupt, NewerSchema,
 * Busy or Unavailable. Closing the scope writes what the journal still holds.
 */
export const libsqlLayer: Layer.Layer<
  | Catalog
  | Users
  | Admins
  | Folders
  | Groups
  | GuardStore
  | Journal
  | JournalSink
  | EventStore
  | Writer
  | Database,
  CatalogError,
  Config | Passwords | IntentLog
> = Layer.mergeAll(
  catalogLayer,
  usersLayer,
  adminsLayer,
  foldersLayer,
  groupsLayer,
  guardStoreLayer,
  journalLayer,
)
  .pipe(
    Layer.provideMerge(hubSink),
    Layer.provideMerge(writerLayer),
    Layer.provideMerge(databaseLayer),
  );

/** Tells this machine's prepared operations from those of others on the same server. */
const nodeName = (config: Settings): Effect.Effect<string, CatalogError> =>
  Effect.try({
    try: () => {
      const file = join(config.data_dir, "node_id");
      if (!fs.existsSync(file)) {
        fs.mkdirSync(config.data_dir, { recursive: true });
        fs.writeFileSync(file, randomUUID(), { mode: 0o600 });
      }
      return fs.readFileSync(file, "utf8").trim();
    },
    catch: (cause) =>
      new CatalogError({
        reason: "Unavailable",
        op: "open",
        detail: `${join(config.data_dir, "node_id")} cannot be used`,
        cause,
      }),
  });
