import { resolve } from "node:path";
import { type Command } from "commander";
import { Effect } from "effect";
import { catalogLayer, databaseFile, prepareKeys, restoreDatabase } from "../app.ts";
import { Catalog } from "../catalog/catalog.ts";
import { type Env, run } from "./command.ts";
import { lockDataDir, prepareDataDir } from "./data_dir.ts";
import { refused, usage } from "./failure.ts";
import { withCatalog } from "./users.ts";

const exists = (file: string) =>
  Effect.promise(() => Deno.lstat(file).then(() => true, () => false));

const init = (env: Env) =>
  Effect.gen(function* () {
    const { settings } = env;
    yield* prepareDataDir(settings.data_dir);
    const version = yield* Effect.flatMap(Catalog, (catalog) => catalog.schemaVersion).pipe(
      Effect.provide(catalogLayer(settings)),
    );
    const keys = yield* prepareKeys(settings);
    yield* env.show(
      { data_dir: settings.data_dir, schema_version: version, host_keys: keys },
      () =>
        [
          `data folder ${settings.data_dir} is ready, schema version ${version}`,
          ...keys.map((key) => `host key ${key}`),
          "next: sluice user add NAME --password-stdin, then sluice serve",
        ].join("\n"),
    );
  });

const backup = (env: Env, file: string) =>
  Effect.gen(function* () {
    const target = resolve(file);
    if (yield* exists(target)) {
      return yield* refused(`${target}: exists already; name a new file`);
    }
    yield* withCatalog(env, Effect.flatMap(Catalog, (catalog) => catalog.backup(target)));
    const { size } = yield* Effect.promise(() => Deno.stat(target));
    yield* env.show({ file: target, size }, () => `wrote ${target} (${size} bytes)`);
  });

const restore = (env: Env, file: string) =>
  Effect.gen(function* () {
    const { settings } = env;
    const source = resolve(file);
    const database = databaseFile(settings);
    if (database === undefined) {
      return yield* refused(
        "restore works on the embedded database; restore a database server there",
      );
    }
    if (!(yield* exists(source))) return yield* usage(`${source}: no such file`);
    yield* prepareDataDir(settings.data_dir);
    yield* lockDataDir(settings.data_dir, "restoring");
    yield* restoreDatabase(source, database);
    yield* env.show({ restored: source }, () => `restored ${source} to ${database}`);
  });

/** `sluice init`, `sluice backup`, `sluice restore` */
export const maintenanceCommands = (program: Command): void => {
  program.command("init").description("prepare the data folder: keys and database")
    .addHelpText("after", "\nExample:\n  sluice init --data-dir /srv/sluice")
    .action((_: unknown, command: Command) => run(command, init));
  program.command("backup <file>").description("write a consistent copy of the database")
    .addHelpText(
      "after",
      `
Works beside a running server. Host keys, sluice.json and the users' files are plain files in
the data folder: copy them with your usual tool.

Example:
  sluice backup /backup/sluice-$(date +%F).db`,
    )
    .action((file: string, _: unknown, command: Command) =>
      run(command, (env) => backup(env, file))
    );
  program.command("restore <file>").description("put a backup in the place of the database")
    .addHelpText(
      "after",
      `
Refused while a server runs. The backup is checked before the database is replaced.

Example:
  sluice restore /backup/sluice-2026-01-31.db`,
    )
    .action((file: string, _: unknown, command: Command) =>
      run(command, (env) => restore(env, file))
    );
};
