/**
 * Fills the catalog of a data folder for the conformance matrix:
 * `deno run -A protocol_accounts.ts DIR` with {@linkcode Accounts} on standard input.
 *
 * Some four hundred users: as many runs of `user add` would take minutes.
 */
import { Effect, Layer } from "effect";
import { intentLog } from "../../adapters/intents/layer.ts";
import { libsqlLayer } from "../../adapters/libsql/layer.ts";
import { Folders, Users } from "../../src/catalog/catalog.ts";
import { Config } from "../../src/config/config.ts";
import { FolderInput } from "../../src/model/folder.ts";
import { quickPasswords, settings, user } from "../catalog/world.ts";

interface Usage {
  readonly bytes: number;
  readonly files: number;
}

export interface Accounts {
  readonly folders: ReadonlyArray<{ name: string; path: string; usage: Usage }>;
  readonly users: ReadonlyArray<{ input: Record<string, unknown>; usage: Usage }>;
}

const operator = { name: "root", ip: "127.0.0.1" };

const fill = ({ folders, users }: Accounts) =>
  Effect.gen(function* () {
    const into = { users: yield* Users, folders: yield* Folders };
    const addFolder = ({ name, path, usage }: Accounts["folders"][number]) =>
      Effect.andThen(
        into.folders.add(
          FolderInput.make({ name, mapped_path: path }),
          operator,
        ),
        into.users.setUsage(`/${name}`, usage),
      );
    const addUser = ({ input, usage }: Accounts["users"][number]) =>
      Effect.andThen(
        into.users.add(user(String(input["username"]), input), operator),
        into.users.setUsage(String(input["username"]), usage),
      );
    // At once: what waits at one moment shares a transaction.
    yield* Effect.forEach(folders, addFolder, { concurrency: 50, discard: true });
    yield* Effect.forEach(users, addUser, { concurrency: 50, discard: true });
  });

if (import.meta.main) {
  const [dir = ""] = Deno.args;
  const accounts = await new Response(Deno.stdin.readable).json() as Accounts;
  const base = Layer.mergeAll(intentLog("hub"), quickPasswords).pipe(
    Layer.provideMerge(Layer.succeed(Config, settings(dir))),
  );
  await Effect.runPromise(Effect.provide(fill(accounts), Layer.provide(libsqlLayer, base)));
  // The native library would keep the process.
  Deno.exit(0);
}
