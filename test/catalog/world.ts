import { createHash } from "node:crypto";
import { Effect, Layer, Schema as S } from "effect";
import { intentLog } from "../../adapters/intents/layer.ts";
import { libsqlLayer } from "../../adapters/libsql/layer.ts";
import { Admins, Catalog, Users } from "../../src/catalog/catalog.ts";
import { Database, Writer } from "../../src/catalog/database.ts";
import { Config, ConfigSchema, type Settings } from "../../src/config/config.ts";
import { Journal } from "../../src/events/journal.ts";
import { JournalSink } from "../../src/events/journal_sink.ts";
import { Passwords } from "../../src/identity/passwords.ts";
import { decodeUser } from "../../src/model/problems.ts";
import type { UserInput } from "../../src/model/user.ts";

/** Cheap to compute: what these tests look at is where a hash goes, not how strong it is. */
export const quickPasswords = Layer.succeed(
  Passwords,
  Passwords.of({
    hash: (plain) => Effect.sync(() => encode(plain)),
    verify: (encoded, plain) => Effect.succeed({ ok: encoded === encode(plain), stale: false }),
    waste: () => Effect.void,
    recognises: (text) => text.startsWith("{SHA256}") || text.startsWith("$argon2id$"),
  }),
);

export const encode = (plain: string): string =>
  "{SHA256}" + createHash("sha256").update(plain).digest("hex");

export const settings = (dir: string, provider: Record<string, unknown> = {}): Settings =>
  S.decodeUnknownSync(ConfigSchema)({ data_dir: dir, data_provider: provider });

/** The whole catalog in a folder of its own, with every service in hand; closed with the scope. */
export const openIn = (dir: string, provider: Record<string, unknown> = {}) =>
  Effect.gen(function* () {
    const base = Layer.mergeAll(intentLog("hub"), quickPasswords).pipe(
      Layer.provideMerge(Layer.succeed(Config, settings(dir, provider))),
    );
    const context = yield* Layer.build(Layer.provide(libsqlLayer, base));
    const services = Effect.all({
      catalog: Catalog,
      users: Users,
      admins: Admins,
      journal: Journal,
      sink: JournalSink,
      writer: Writer,
      database: Database,
    });
    return yield* Effect.provide(services, context);
  });

/** A user as the API would send it. */
export const user = (username: string, more: Record<string, unknown> = {}): UserInput => {
  const decoded = decodeUser({ username, permissions: { "/": ["*"] }, ...more });
  if (decoded._tag === "Left") throw new Error(decoded.left.join("; "));
  return decoded.right;
};

export const operator = { name: "root", ip: "127.0.0.1" };

export const files = (dir: string): string[] =>
  [...Deno.readDirSync(dir)].filter((e) => e.isFile).map((e) => e.name).sort();

/** Without what a connection that is not collected yet keeps beside the file. */
export const lasting = (dir: string): string[] =>
  files(dir).filter((name) => !/-(wal|shm)$/.test(name));
