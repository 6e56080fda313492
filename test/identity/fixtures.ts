import { Buffer } from "node:buffer";
import { Effect, Layer, Schema, Stream } from "effect";
import { Users } from "../../src/catalog/catalog.ts";
import { Config, ConfigSchema } from "../../src/config/config.ts";
import { CatalogError } from "../../src/errors.ts";
import type { NewEvent } from "../../src/events/event.ts";
import { Journal } from "../../src/events/journal.ts";
import { Guard } from "../../src/guard/guard.ts";
import { KeyFileError, KeyFiles } from "../../src/identity/key_files.ts";
import { Passwords } from "../../src/identity/passwords.ts";
import { MasterKey } from "../../src/identity/sealed.ts";
import { layer as totpLayer } from "../../adapters/otp/totp.ts";
import { layer as identityLayer } from "../../src/identity/layer.ts";
import { type TotpConfig, User, UserFilters } from "../../src/model/user.ts";

/** Everything the pipeline did, for a test to look at, and the switches to break it. */
export class World {
  readonly users = new Map<string, User>();
  readonly events: NewEvent[] = [];
  readonly files = new Map<string, string>();
  readonly usedSteps = new Map<string, number>();
  readonly touched: string[] = [];
  /** Hash operations: known users' checks and unknown users' decoys alike. */
  hashes = 0;
  /** Names of calls that shall die. */
  readonly broken = new Set<string>();

  add(
    user: Partial<User> & { readonly username: string },
    filters: Partial<UserFilters> = {},
  ): void {
    const base = Schema.decodeUnknownSync(User)({
      username: user.username,
      permissions: { "/": ["*"] },
      password_hash: "",
    });
    this.users.set(user.username, {
      ...base,
      ...user,
      filters: { ...UserFilters.make({}), ...filters },
    });
  }

  step<A, E>(name: string, effect: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.suspend(() => this.broken.has(name) ? Effect.die(`broken ${name}`) : effect);
  }

  /** All that the identity layer needs; `sftpd` and friends override the defaults. */
  layer(settings: Record<string, unknown> = {}, guard = Guard.open) {
    const config = Layer.succeed(Config, Schema.decodeUnknownSync(ConfigSchema)(settings));
    return identityLayer.pipe(
      Layer.provideMerge(
        Layer.mergeAll(
          config,
          guard,
          this.#users(),
          this.#journal(),
          this.#passwords(),
          this.#files(),
          totpLayer,
          Layer.succeed(MasterKey, MasterKey.of({ id: "test", bytes: new Uint8Array(32) })),
        ),
      ),
    );
  }

  #users() {
    const change = (name: string, edit: (user: User) => User) =>
      Effect.suspend(() => {
        const user = this.users.get(name);
        if (!user) {
          return Effect.fail(new CatalogError({ reason: "NotFound", op: "test", detail: name }));
        }
        this.users.set(name, edit(user));
        return Effect.void;
      });
    const unused = Effect.die("not used by the pipeline");
    return Layer.succeed(
      Users,
      Users.of({
        find: (name) => this.step("find", Effect.sync(() => this.users.get(name))),
        effective: (name) => this.step("find", Effect.sync(() => this.users.get(name))),
        usage: (name) => this.step("find", Effect.sync(() => this.users.get(name))),
        list: () => unused,
        add: () => unused,
        update: () => unused,
        remove: () => unused,
        setPasswordHash: (name, hash) =>
          this.step("setPasswordHash", change(name, (user) => ({ ...user, password_hash: hash }))),
        touchLastLogin: (name) =>
          this.step("touchLastLogin", Effect.sync(() => void this.touched.push(name))),
        touchFirst: () => unused,
        addTransfer: () => unused,
        setTransfer: () => unused,
        useTotpStep: (name, step) =>
          this.step(
            "useTotpStep",
            Effect.sync(() => {
              if ((this.usedSteps.get(name) ?? 0) >= step) return false;
              this.usedSteps.set(name, step);
              return true;
            }),
          ),
        setTotp: (name, totp: TotpConfig | undefined) =>
          change(name, (user) => {
            const { totp_config: _, ...filters } = user.filters;
            return { ...user, filters: totp ? { ...filters, totp_config: totp } : filters };
          }),
        setUsage: () => unused,
      }),
    );
  }

  #journal() {
    return Layer.succeed(
      Journal,
      Journal.of({
        keepsContent: false,
        record: (event) => this.step("record", Effect.sync(() => void this.events.push(event))),
        prepare: () => Effect.die("not used by the pipeline"),
        prepareNow: () => undefined,
        recordNow: () => false,
        query: () => Stream.empty,
        follow: () => Stream.empty,
        unsettled: Effect.succeed([]),
        unsettledOf: () => Effect.succeed([]),
        flush: Effect.void,
      }),
    );
  }

  /** `plain:x` and `old:x` are the hashes of x; `old:` is stale. */
  #passwords() {
    return Layer.succeed(
      Passwords,
      Passwords.of({
        hash: (plain) => this.step("hash", Effect.succeed(`plain:${plain}`)),
        verify: (encoded, plain) =>
          this.step(
            "verify",
            Effect.sync(() => {
              this.hashes += 1;
              const ok = encoded === `plain:${plain}` || encoded === `old:${plain}`;
              return { ok, stale: ok && encoded.startsWith("old:") };
            }),
          ),
        waste: () => this.step("waste", Effect.sync(() => void (this.hashes += 1))),
        recognises: (text) => /^(plain|old):/.test(text),
      }),
    );
  }

  #files() {
    return Layer.succeed(
      KeyFiles,
      KeyFiles.of({
        read: (path) =>
          this.step(
            "file",
            Effect.suspend(() => {
              const text = this.files.get(path);
              return text === undefined
                ? Effect.fail(new KeyFileError({ path, what: "cannot be read" }))
                : Effect.succeed(text);
            }),
          ),
      }),
    );
  }
}

/** Runs `ssh-keygen` quietly; the test fails with its words when it does. */
export const keygen = async (...args: string[]): Promise<void> => {
  const { success, stderr } = await new Deno.Command("ssh-keygen", { args: ["-q", ...args] })
    .output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
};

export const wireString = (data: Uint8Array | string): Buffer => {
  const bytes = Buffer.from(data as Uint8Array);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(bytes.length, 0);
  return Buffer.concat([head, bytes]);
};

/** A positive number as an mpint, from big-endian bytes. */
export const mpint = (bytes: Uint8Array): Buffer => {
  const from = bytes.findIndex((octet) => octet !== 0);
  const short = bytes.subarray(from < 0 ? bytes.length : from);
  return wireString(short[0]! >= 0x80 ? Buffer.concat([Buffer.from([0]), short]) : short);
};

export const blobOf = (line: string): Uint8Array => Buffer.from(line.split(" ")[1]!, "base64");
