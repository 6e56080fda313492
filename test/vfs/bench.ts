import { Effect, Layer, Schema, type Scope } from "effect";
import { local } from "../../adapters/storage/local/local.ts";
import { Users } from "../../src/catalog/catalog.ts";
import { Config, ConfigSchema } from "../../src/config/config.ts";
import type { FsError } from "../../src/errors.ts";
import { Journal } from "../../src/events/journal.ts";
import type { Principal } from "../../src/model/session.ts";
import { User } from "../../src/model/user.ts";
import { Storages } from "../../src/storage/storages.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { vfsFactory } from "../../src/vfs/factory.ts";
import { Quota } from "../../src/vfs/quota.ts";
import { quotaAccounts } from "../../src/vfs/quota_accounts.ts";
import { type OpenOptions, type Vfs, VfsFactory } from "../../src/vfs/vfs.ts";
import type { VPath } from "../../src/vpath.ts";
import { onlyWith, tempDir } from "../harness.ts";
import { MemoryJournal } from "./memory_journal.ts";

export const makeUser = (settings: Record<string, unknown> = {}): User =>
  Schema.decodeUnknownSync(User)({
    username: "alice",
    id: 1,
    permissions: { "/": ["*"] },
    password_hash: "",
    ...settings,
  });

/** One home for everybody. */
export const storagesOf = (storage: Storage): Layer.Layer<Storages> =>
  Layer.succeed(Storages, {
    forUser: () => Effect.succeed(storage),
    forFolder: () => Effect.dieMessage("no folders here"),
  });

export interface Bench {
  readonly storage: Storage;
  readonly journal: MemoryJournal;
  readonly quota: typeof Quota.Service;
  readonly factory: typeof VfsFactory.Service;
  /** What a scan stored as durable usage. */
  readonly stored: Map<string, { readonly bytes: number; readonly files: number }>;
  login(settings?: Record<string, unknown>): Effect.Effect<Vfs, FsError, Scope.Scope>;
}

const principal: Principal = {
  sessionId: "s1",
  username: "alice",
  protocol: "SFTP",
  ip: "127.0.0.1",
};

/** A VFS over `storage` with the real quota and an honest journal in memory. */
export const bench = (
  storage: Storage,
  common: Record<string, unknown> = {},
  keepsContent = false,
): Effect.Effect<Bench, never, Scope.Scope> =>
  Effect.gen(function* () {
    const journal = new MemoryJournal(keepsContent);
    const stored = new Map<string, { readonly bytes: number; readonly files: number }>();
    // The VFS needs three of the catalog's calls; the others are not there to be called.
    const users = Layer.succeed(
      Users,
      onlyWith<typeof Users.Service>({
        find: (username: string) => Effect.succeed(makeUser({ username })),
        touchFirst: () => Effect.void,
        setUsage: (username: string, usage: { bytes: number; files: number }) =>
          Effect.sync(() => void stored.set(username, usage)),
      }),
    );
    const base = Layer.mergeAll(
      users,
      Layer.succeed(Journal, journal.service),
      storagesOf(storage),
      Layer.succeed(Config, Schema.decodeUnknownSync(ConfigSchema)({ common })),
    );
    const layer = vfsFactory.pipe(Layer.provideMerge(quotaAccounts), Layer.provide(base));
    const context = yield* Layer.build(layer);
    return yield* Effect.provide(
      Effect.gen(function* () {
        const factory = yield* VfsFactory;
        return {
          storage,
          journal,
          stored,
          quota: yield* Quota,
          factory,
          login: (settings = {}) => factory.forSession(makeUser(settings), principal),
        };
      }),
      context,
    );
  });

/** The local disk in a fresh folder; `keepsContent`: the journal keeps that of small uploads. */
export const onDisk = (common: Record<string, unknown> = {}, keepsContent = false) =>
  Effect.gen(function* () {
    const dir = yield* tempDir;
    const root = Deno.realPathSync(dir) + "/home";
    Deno.mkdirSync(root);
    const made = yield* bench(local({ root, fsync: common.fsync !== false }), common, keepsContent);
    return { ...made, root, outside: Deno.realPathSync(dir) };
  });

export const reading: OpenOptions = {
  read: true,
  write: false,
  append: false,
  create: false,
  truncate: false,
  exclusive: false,
};
export const writing: OpenOptions = { ...reading, read: false, write: true, create: true };
/** What `put` does. */
export const putting: OpenOptions = { ...writing, truncate: true };

export const path = (text: string) => text as VPath;
export const bytes = (text: string) => new TextEncoder().encode(text);

/** Uploads a whole file. */
export const put = (vfs: Vfs, name: string, content: string, options = putting) =>
  Effect.scoped(Effect.gen(function* () {
    const handle = yield* vfs.open(path(name), options);
    yield* Effect.tryPromise({
      try: () => handle.write(0, bytes(content)),
      catch: (e) => e as FsError,
    });
    yield* handle.close();
  }));

/** Downloads a whole file. */
export const get = (vfs: Vfs, name: string) =>
  Effect.scoped(Effect.gen(function* () {
    const handle = yield* vfs.open(path(name), reading);
    const into = new Uint8Array(1 << 20);
    const n = yield* Effect.tryPromise({
      try: () => handle.read(0, into),
      catch: (e) => e as FsError,
    });
    yield* handle.close();
    return new TextDecoder().decode(into.subarray(0, n));
  }));

/** The reason of a failure, or "ok". */
export const reasonOf = <A, R>(effect: Effect.Effect<A, FsError, R>): Effect.Effect<
  string,
  never,
  R
> => Effect.match(effect, { onSuccess: () => "ok", onFailure: (e) => e.reason });
