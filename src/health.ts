import { Effect } from "effect";
import { Catalog } from "./catalog/catalog.ts";
import { attempt, type Db, Writer } from "./catalog/database.ts";
import { Config } from "./config/config.ts";

/** One thing that must work for the server to be of use. */
export interface Probe {
  readonly name: string;
  /** What is wrong, undefined while nothing is. */
  readonly check: Effect.Effect<string | undefined>;
}

/**
 * What `/healthz` asks: the database answers a read and a write, and each
 * client port is held. That it also accepts is asked by the listener itself,
 * once a second; a connection from here would be journalled as a failed login.
 */
export const probes = (
  addresses: ReadonlyArray<string>,
): Effect.Effect<ReadonlyArray<Probe>, never, Catalog | Writer | Config> =>
  Effect.gen(function* () {
    const catalog = yield* Catalog;
    const { transact } = yield* Writer;
    const { data_dir } = yield* Config;
    return [
      {
        name: "database_read",
        check: Effect.match(catalog.schemaVersion, {
          onFailure: (error) => error.detail,
          onSuccess: () => undefined,
        }),
      },
      {
        name: "database_write",
        check: Effect.match(transact("health", touch), {
          onFailure: (error) => error.detail,
          onSuccess: () => undefined,
        }),
      },
      { name: "storage_write", check: storable(data_dir) },
      ...addresses.map((address) => ({ name: `sftp ${address}`, check: held(address) })),
    ];
  });

/** Takes the write lock and changes nothing. */
const touch = (trx: Db) =>
  attempt(
    "health",
    () => trx.updateTable("schema_version").set({ name: "" }).where("version", "=", -1).execute(),
  );

/** Writes, flushes and removes one small file. */
const storable = (dir: string): Effect.Effect<string | undefined> =>
  Effect.promise(async () => {
    try {
      const path = await Deno.makeTempFile({ dir, prefix: ".sluice-probe-" });
      try {
        using file = await Deno.open(path, { write: true });
        await file.write(new TextEncoder().encode("probe"));
        await file.sync();
      } finally {
        await Deno.remove(path);
      }
      return undefined;
    } catch (cause) {
      return cause instanceof Error ? cause.message : String(cause);
    }
  });

/** Taking the port must fail: it is ours. */
const held = (address: string): Effect.Effect<string | undefined> =>
  Effect.sync(() => {
    const cut = address.lastIndexOf(":");
    const hostname = address.slice(0, cut).replace(/^\[|\]$/g, "");
    try {
      Deno.listen({ hostname, port: Number(address.slice(cut + 1)) }).close();
      return "nobody listens";
    } catch (cause) {
      return cause instanceof Deno.errors.AddrInUse ? undefined : String(cause);
    }
  });
