import { Effect, Layer } from "effect";
import { intentLog } from "../../adapters/intents/layer.ts";
import { layer as masterKey } from "../../adapters/keys/master_key.ts";
import { libsqlLayer } from "../../adapters/libsql/layer.ts";
import { layer as passwords } from "../../adapters/passwords/passwords.ts";
import { dumpData } from "../../src/catalog/backup_data/dump.ts";
import { loadData, type LoadOptions } from "../../src/catalog/backup_data/load.ts";
import { type Scope, scopes } from "../../src/catalog/backup_data/shape.ts";
import { Admins, Folders, Groups, Users } from "../../src/catalog/catalog.ts";
import { GuardStore } from "../../src/catalog/guard.ts";
import { Config } from "../../src/config/config.ts";
import { Journal } from "../../src/events/journal.ts";
import { MasterKey } from "../../src/identity/sealed.ts";
import { operator, quickPasswords, settings } from "./world.ts";

/** A catalog with its key and what dumps and loads it, closed with the scope. */
export const dumpable = (
  dir: string,
  hashing: "quick" | "real" = "quick",
  provider: Record<string, unknown> = {},
) =>
  Effect.gen(function* () {
    Deno.mkdirSync(dir, { recursive: true });
    const base = Layer.mergeAll(
      intentLog("hub"),
      masterKey,
      hashing === "quick" ? quickPasswords : passwords,
    ).pipe(Layer.provideMerge(Layer.succeed(Config, settings(dir, provider))));
    const context = yield* Layer.build(Layer.provideMerge(libsqlLayer, base));
    const services = yield* Effect.provide(
      Effect.all({
        users: Users,
        groups: Groups,
        folders: Folders,
        admins: Admins,
        guard: GuardStore,
        journal: Journal,
        key: MasterKey,
      }),
      context,
    );
    return {
      ...services,
      /** The document as text; `between` runs after each part of it. */
      dump: (of: ReadonlyArray<Scope> = scopes, between: Effect.Effect<unknown> = Effect.void) =>
        Effect.gen(function* () {
          let text = "";
          yield* dumpData(of, (part) => Effect.andThen(Effect.sync(() => text += part), between));
          return text;
        }).pipe(Effect.provide(context)),
      load: (json: unknown, options: Partial<LoadOptions> = {}) =>
        Effect.provide(
          loadData(json, { scopes, mode: 0, dryRun: false, by: operator, ...options }),
          context,
        ),
    };
  });

/** What became of whom: `{"users anna": "update quota_size,password"}`. */
export const byName = (
  { changes }: {
    readonly changes: ReadonlyArray<
      {
        readonly scope: string;
        readonly name: string;
        readonly action: string;
        readonly fields: ReadonlyArray<string>;
      }
    >;
  },
): Record<string, string> =>
  Object.fromEntries(
    changes.map(({ scope, name, action, fields }) => [
      `${scope} ${name}`,
      `${action} ${fields.join(",")}`.trim(),
    ]),
  );
