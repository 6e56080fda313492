import { statfs } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { Effect, Exit, Option, Stream } from "effect";
import { catalogLayer, databaseFile, prepareHostKeys } from "../app.ts";
import { Admins, Catalog, Users } from "../catalog/catalog.ts";
import type { Binding, Settings } from "../config/config.ts";
import { Journal } from "../events/journal.ts";
import { tryServer } from "./control_client.ts";
import { explain } from "./failure.ts";
import { size, time } from "./output.ts";

/** What one check saw, and what to do about it. */
export interface Finding {
  readonly name: string;
  readonly status: "ok" | "warn" | "fail";
  readonly found: string;
  readonly fix?: string;
}

const ok = (name: string, found: string): Finding => ({ name, status: "ok", found });
const warn = (name: string, found: string, fix: string): Finding => ({
  name,
  status: "warn",
  found,
  fix,
});
const fail = (name: string, found: string, fix: string): Finding => ({
  name,
  status: "fail",
  found,
  fix,
});

type Check = Effect.Effect<ReadonlyArray<Finding>>;

const statOf = (path: string) =>
  Effect.promise(() => Deno.stat(path).catch(() => undefined as Deno.FileInfo | undefined));
const octal = (mode: number | null) => ((mode ?? 0) & 0o7777).toString(8).padStart(4, "0");

const dataFolder = (dir: string): Check =>
  Effect.gen(function* () {
    const info = yield* statOf(dir);
    if (!info) return [warn("data folder", `${dir} does not exist`, "run: sluice init")];
    if (!info.isDirectory) {
      return [fail("data folder", `${dir} is not a folder`, "choose another with --data-dir")];
    }
    const writable = yield* Effect.promise(() =>
      Deno.makeTempFile({ dir, prefix: ".sluice-probe-" })
        .then((file) => Deno.remove(file)).then(() => true, () => false)
    );
    if (!writable) {
      return [fail("data folder", `${dir} cannot be written`, `run: chown -R $(id -u) ${dir}`)];
    }
    return [
      ((info.mode ?? 0) & 0o077) === 0
        ? ok("data folder", `${dir}, mode ${octal(info.mode)}`)
        : warn("data folder", `${dir} has mode ${octal(info.mode)}`, `run: chmod 700 ${dir}`),
    ];
  });

const low = { fail: 64 * 1024 ** 2, warn: 1024 ** 3, files: 1000 };

const disk = (dir: string): Check =>
  Effect.gen(function* () {
    const space = yield* Effect.promise(() => statfs(dir).catch(() => undefined));
    if (!space) return [];
    const free = space.bavail * space.bsize;
    const text = `${size(free)} free, ${space.ffree} files free`;
    if (free < low.fail || (space.files > 0 && space.ffree < low.files)) {
      return [fail("disk", text, "make room: uploads and the database will fail")];
    }
    return [free < low.warn ? warn("disk", text, "make room soon") : ok("disk", text)];
  });

const database = (settings: Settings): Check =>
  Effect.gen(function* () {
    const file = databaseFile(settings);
    const info = file === undefined ? undefined : yield* statOf(file);
    if (file !== undefined && !info) {
      return [warn("database", `${file} does not exist yet`, "run: sluice init")];
    }
    const findings: Finding[] = [];
    if (file !== undefined && ((info?.mode ?? 0) & 0o077) !== 0) {
      findings.push(
        warn(
          "database file",
          `${file} has mode ${octal(info?.mode ?? 0)}`,
          `run: chmod 600 ${file}`,
        ),
      );
    }
    const read = yield* Effect.exit(Effect.provide(contents, catalogLayer(settings)));
    if (Exit.isFailure(read)) {
      const said = explain(read.cause).lines.join("; ");
      findings.push(fail("database", said, "stop the server and run: sluice restore BACKUP"));
      return findings;
    }
    const { problems, version, users, admins, newest } = read.value;
    findings.push(
      problems.length === 0
        ? ok("database", `sound, schema version ${version}`)
        : fail("database", problems.slice(0, 3).join("; "), "run: sluice restore BACKUP"),
      users > 0 ? ok("users", "there are accounts") : warn(
        "users",
        "nobody can log in",
        "run: sluice user add NAME --password-stdin",
      ),
      admins > 0
        ? ok("admins", String(admins))
        : warn("admins", "none", "run: sluice admin add NAME --password-stdin"),
      clock(newest),
    );
    return findings;
  });

const contents = Effect.gen(function* () {
  const catalog = yield* Catalog;
  const newest = yield* Stream.runHead((yield* Journal).query({ descending: true, limit: 1 }));
  return {
    problems: yield* catalog.check,
    version: yield* catalog.schemaVersion,
    users: (yield* (yield* Users).list({ limit: 1, offset: 0 })).length,
    admins: yield* (yield* Admins).count,
    newest: newest._tag === "Some" ? newest.value.timestamp : 0,
  };
});

/** Far enough back that no honest clock shows it. */
const epoch = Date.UTC(2025, 0, 1);

const clock = (newest: number): Finding => {
  const now = Date.now();
  const fix = "set the clock: one-time codes, certificates and expiry depend on it";
  if (now < epoch) return fail("clock", time(now), fix);
  return newest > now + 60_000
    ? warn("clock", `${time(now)}, but the journal goes to ${time(newest)}`, fix)
    : ok("clock", time(now));
};

const hostKeys = (settings: Settings): Check =>
  Effect.gen(function* () {
    const named = settings.sftpd.host_keys.length > 0;
    const files = (named ? settings.sftpd.host_keys : ["id_ed25519", "id_ecdsa", "id_rsa"])
      .map((f) => isAbsolute(f) ? f : join(settings.data_dir, f));
    const missing: string[] = [];
    for (const file of files) if (!(yield* statOf(file))) missing.push(file);
    if (missing.length > 0) {
      return [
        named
          ? fail("host keys", `missing: ${missing.join(", ")}`, "create them, or correct host_keys")
          : warn("host keys", `missing: ${missing.join(", ")}`, "made at the next start"),
      ];
    }
    const loaded = yield* Effect.exit(prepareHostKeys(settings));
    return [
      Exit.isSuccess(loaded)
        ? ok("host keys", loaded.value.join(", "))
        : fail("host keys", explain(loaded.cause).lines.join("; "), "see the message"),
    ];
  });

/** Connects to an address that the running server says it listens on. */
const reach = (name: string, address: string): Effect.Effect<Finding> => {
  const cut = address.lastIndexOf(":");
  const host = address.slice(0, cut).replace(/^\[|\]$/g, "");
  const hostname = host === "0.0.0.0" ? "127.0.0.1" : host === "::" || host === "" ? "::1" : host;
  return Effect.promise(() =>
    Deno.connect({ hostname, port: Number(address.slice(cut + 1)) }).then((connection) => {
      connection.close();
      return ok(name, `${address} answers`);
    }, () => fail(name, `${address} does not answer`, "restart the server and read its log"))
  );
};

/** Tries to take an address, as the next start will. */
const bindable = (name: string, { address, port }: Binding): Finding => {
  const hostname = address === "" ? "0.0.0.0" : address;
  const where = `${hostname}:${port}`;
  try {
    Deno.listen({ hostname, port }).close();
    return ok(name, port === 0 ? `${where}: any free port` : `${where} is free`);
  } catch (cause) {
    return cause instanceof Deno.errors.AddrInUse
      ? fail(name, `${where} is taken`, `find who: ss -ltnp 'sport = :${port}'; or move it`)
      : cause instanceof Deno.errors.PermissionDenied
      ? fail(name, `${where} needs more rights`, "choose a port of 1024 or above")
      : fail(name, `${where}: ${cause instanceof Error ? cause.message : cause}`, "correct it");
  }
};

const server = (settings: Settings): Check =>
  Effect.gen(function* () {
    const status = yield* Effect.option(tryServer(settings.data_dir, "GET", "/v1/status"));
    const running = Option.getOrUndefined(status) as
      | { pid: number; listeners: Record<string, ReadonlyArray<string>> }
      | undefined;
    if (running) {
      const answers = yield* Effect.forEach(
        Object.entries(running.listeners).flatMap(([name, all]) => all.map((at) => ({ name, at }))),
        ({ name, at }) => reach(`port ${name}`, at),
      );
      return [ok("server", `running, pid ${running.pid}`), ...answers];
    }
    return [
      ok("server", "not running"),
      ...settings.sftpd.bindings.map((binding) => bindable("port sftp", binding)),
      ...settings.httpd.bindings.map((binding) => bindable("port http", binding)),
      ...settings.webdavd.bindings.map((binding) => bindable("port webdav", binding)),
      ...settings.ftpd.bindings.map((binding) => bindable("port ftp", binding)),
      ...settings.telemetry.bindings.map((binding) => bindable("port telemetry", binding)),
    ];
  });

const ciphers: Check = Effect.gen(function* () {
  // Loads every library there is, which no other command needs.
  const survey = yield* Effect.promise(async () => {
    const { surveyCiphers } = await import("../../adapters/ssh/ciphers/survey.ts");
    return await surveyCiphers(Deno.env.get("SLUICE_CIPHERS"));
  });
  if (survey instanceof Error) {
    return [
      fail(
        "ciphers",
        `SLUICE_CIPHERS: ${survey.message}`,
        "correct or unset the environment variable",
      ),
    ];
  }
  return survey.map(({ cipher, provider, others, complaint }) => {
    const why = others.map((other) => `${other.name}: ${other.why}`).join("; ");
    const name = `cipher ${cipher}`, found = `${provider} (${why})`;
    if (complaint !== undefined) return warn(name, found, "update that library, then restart");
    const absent = others.some((other) => other.name === "libcrypto") &&
      provider === "node" && !Deno.env.get("SLUICE_CIPHERS");
    return absent
      ? warn(name, found, "install OpenSSL 3 (libcrypto): much faster")
      : ok(name, found);
  });
});

/** Every check of `sluice doctor`, in the order shown. */
export const checks = (settings: Settings): ReadonlyArray<Check> => [
  dataFolder(settings.data_dir),
  disk(settings.data_dir),
  database(settings),
  hostKeys(settings),
  server(settings),
  ciphers,
];
