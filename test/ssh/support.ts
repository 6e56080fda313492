import { Buffer } from "node:buffer";
import { Context, Effect, Layer, Logger, LogLevel, Schema, type Scope, Stream } from "effect";
import { Registry } from "../../actors/registry.ts";
import type { Engine } from "../../adapters/ssh/engine.ts";
import { type Engines, serveSsh } from "../../adapters/ssh/server.ts";
import { Config, ConfigSchema, type Settings } from "../../src/config/config.ts";
import type { NewEvent } from "../../src/events/event.ts";
import { Journal } from "../../src/events/journal.ts";
import { Guard } from "../../src/guard/guard.ts";
import { Identity, type Login, type PresentedKey } from "../../src/identity/identity.ts";
import { User } from "../../src/model/user.ts";
import { type Vfs, VfsFactory } from "../../src/vfs/vfs.ts";
import type { ConfigError } from "../../src/errors.ts";

/** What happened on the server, for assertions. */
export interface Seen {
  readonly events: NewEvent[];
  readonly keys: PresentedKey[];
  readonly passwords: string[];
  abandoned: number;
  allowed: boolean;
}

export interface Sshd {
  readonly port: number;
  readonly dataDir: string;
  readonly seen: Seen;
  readonly registry: Registry["Type"];
}

/** Password of every test user. */
export const PASSWORD = "right-password";

/**
 * Runs the SSH adapter on a free port with engines of the test's choice and a
 * fixed identity: any user with {@linkcode PASSWORD}, and any user with a key
 * whose blob is in `keys` (its signature is checked by Identity elsewhere).
 */
export const sshd = (options: {
  readonly sftpd?: Partial<Settings["sftpd"]>;
  readonly common?: Partial<Settings["common"]>;
  readonly engines?: Partial<Engines>;
  readonly maxSessions?: number;
  readonly login?: (login: Login) => Login;
  readonly dataDir?: string;
} = {}): Effect.Effect<Sshd, ConfigError, Scope.Scope> =>
  Effect.gen(function* () {
    const dataDir = options.dataDir ?? (yield* sharedKeys);
    const settings: Settings = Schema.decodeUnknownSync(ConfigSchema)({
      data_dir: dataDir,
      common: { ...options.common },
      sftpd: { bindings: [{ address: "127.0.0.1", port: 0 }], ...options.sftpd },
    });
    const seen: Seen = { events: [], keys: [], passwords: [], abandoned: 0, allowed: true };
    const config = Layer.succeed(Config, settings);
    const services = yield* Layer.build(
      Layer.mergeAll(
        Layer.provideMerge(Registry.layer, Layer.merge(config, Guard.open)),
        Layer.succeed(Identity, identity(seen, options.maxSessions ?? 0, options.login)),
        Layer.succeed(Journal, journal(seen)),
        Layer.succeed(VfsFactory, { forSession: () => Effect.succeed(NO_FILES) }),
      ),
    );
    const { addresses } = yield* serveSsh({
      sftp: options.engines?.sftp ?? echo,
      exec: options.engines?.exec ?? ((line) => line.startsWith("echo") ? echo : undefined),
    }).pipe(Effect.provide(services), Logger.withMinimumLogLevel(LogLevel.None));
    const port = Number(addresses[0]?.split(":").at(-1));
    return { port, dataDir, seen, registry: Context.get(services, Registry) };
  });

/** Sends back what comes in, then exit status 7. */
export const echo: Engine = (channel) =>
  Effect.promise(async () => {
    try {
      for (;;) {
        const chunk = await channel.read();
        if (!chunk) return 7;
        await channel.write(chunk);
      }
    } catch {
      return undefined;
    }
  });

/** RSA keys take seconds to make: all tests of one process share a folder of host keys. */
let keyFolder: Promise<string> | undefined;
const sharedKeys = Effect.promise(() => keyFolder ??= Deno.makeTempDir({ prefix: "sluice-ssh-" }));

const NO_FILES = {} as Vfs;

const identity = (
  seen: Seen,
  maxSessions: number,
  change: (login: Login) => Login = (login) => login,
): Identity["Type"] => ({
  stillAllowed: () => Effect.sync(() => seen.allowed),
  begin: () =>
    Effect.sync(() => {
      let tries = 0;
      const next = ["publickey", "password", "keyboard-interactive"] as const;
      const user = (username: string) =>
        Schema.decodeUnknownSync(User)({
          username,
          permissions: { "/": ["*"] },
          password_hash: "",
          max_sessions: maxSessions,
        });
      const accepted = (username: string, method: string) =>
        ({ _tag: "Accepted", user: user(username), method }) as const;
      const refused = () => ({ _tag: "Refused", next, exhausted: ++tries >= 6 }) as const;
      return change({
        none: () => Effect.succeed({ _tag: "Refused", next, exhausted: false }),
        certificate: () => Effect.succeed({ _tag: "Refused", next, exhausted: false }),
        password: (username, password) =>
          Effect.sync(() => {
            seen.passwords.push(password);
            return password === PASSWORD ? accepted(username, "password") : refused();
          }),
        publicKey: (username, key) =>
          Effect.sync(() => {
            seen.keys.push({ ...key, blob: Buffer.from(key.blob) });
            if (!key.signature) return { _tag: "KeyUsable" } as const;
            return accepted(username, "publickey");
          }),
        keyboardInteractive: (username, ask) =>
          ask([{ text: "Password: ", echo: false }, { text: "Colour: ", echo: true }]).pipe(
            Effect.map((answers) =>
              answers[0] === PASSWORD && answers[1] === "blue"
                ? accepted(username, "keyboard-interactive")
                : refused()
            ),
            Effect.catchAll(() => Effect.sync(refused)),
          ),
        methods: Effect.succeed(next),
        abandoned: Effect.sync(() => {
          seen.abandoned += 1;
        }),
      });
    }),
});

const journal = (seen: Seen): Journal["Type"] => ({
  keepsContent: false,
  record: (event) => Effect.sync(() => void seen.events.push(event)),
  prepare: () => Effect.succeed({ settle: () => Effect.void, cancel: () => Effect.void }),
  prepareNow: () => undefined,
  recordNow: () => false,
  query: () => Stream.empty,
  follow: () => Stream.never,
  unsettled: Effect.succeed([]),
  unsettledOf: () => Effect.succeed([]),
  flush: Effect.void,
});
