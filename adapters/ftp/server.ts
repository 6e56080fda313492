import { Cause, Context, Effect, Exit, Option, Scope } from "effect";
import { type Client, listen } from "../../actors/listener.ts";
import { Registry } from "../../actors/registry.ts";
import { makeWheel, openSession, type Session, type Wheel } from "../../actors/session.ts";
import { Config } from "../../src/config/config.ts";
import type { ConfigError } from "../../src/errors.ts";
import { Journal } from "../../src/events/journal.ts";
import type { Guard } from "../../src/guard/guard.ts";
import { Identity, type Login } from "../../src/identity/identity.ts";
import type { User } from "../../src/model/user.ts";
import { type OwnedHandle, VfsFactory } from "../../src/vfs/vfs.ts";
import { makeBridge } from "../../actors/bridge.ts";
import { bannerOf } from "./commands_connection.ts";
import { Control } from "./control.ts";
import { DataConnections } from "./data.ts";
import { Interpreter } from "./interpreter.ts";
import { allFacts } from "./listing.ts";
import { type Reply, reply } from "./reply.ts";
import type { State } from "./state.ts";
import { type BindingTls, prepareTls } from "./tls_setup.ts";

type Services = Config | Identity | VfsFactory | Journal | Registry;
/** Only these: a whole context would bring the server's own scope into every connection. */
const theServices = Effect.map(
  Effect.context<Services>(),
  Context.pick(Config, Identity, VfsFactory, Journal, Registry),
);

/**
 * Serves FTP and FTPS on every configured binding until the scope closes.
 * Answers the bound addresses when all accept connections; fails when the
 * certificate or an address cannot be used.
 */
export const serveFtp: Effect.Effect<
  { readonly addresses: ReadonlyArray<string> },
  ConfigError,
  Scope.Scope | Services | Guard
> = Effect.gen(function* () {
  const { ftpd, data_dir: dataDir } = yield* Config;
  if (ftpd.bindings.length === 0) return { addresses: [] };
  const services = yield* theServices;
  const wheel = yield* makeWheel;
  const prepared = yield* prepareTls(dataDir, ftpd);
  const addresses = yield* Effect.forEach(prepared, ({ binding, ...secrets }) =>
    listen({
      protocol: "FTP",
      address: binding.address,
      port: binding.port,
      where: "ftpd.bindings",
      serve: (client) =>
        Effect.provide(serveClient({ client, binding, ...secrets, wheel }), services),
      // With implicit TLS there is no text that could be read.
      farewell: () => binding.tls_mode === 2 ? "" : "421 Not allowed at this time\r\n",
    }));
  return { addresses };
});

interface Guest extends BindingTls {
  readonly client: Client;
  readonly wheel: Wheel;
}

/** One control connection from accept to close. Everything it holds is tied to the scope. */
const serveClient = (
  { client, binding, tls, prove, context, wheel }: Guest,
): Effect.Effect<void, never, Scope.Scope | Services> =>
  Effect.gen(function* () {
    const { ftpd: settings, common } = yield* Config;
    const services = yield* theServices;
    const scope = yield* Effect.scope;
    const identity = yield* Identity;
    const factory = yield* VfsFactory;
    const { ip, seat } = client;
    const attempts: Login = yield* identity.begin({
      ip,
      protocol: "FTP",
      sessionId: `FTP_${seat.id}`,
    });
    let session: Session | undefined;
    let ended: (why: string) => void = () => {};
    const closed = new Promise<string>((resolve) => {
      ended = resolve;
    });
    const control = new Control(client.socket, {
      line: (line) => {
        session?.active();
        interpreter.take(line);
      },
      closed: (why) => {
        interpreter.stop();
        state.data.close();
        ended(why);
      },
    });
    const files = new Set<OwnedHandle>();

    /** A proven user gets a session and files, or the reason why not. */
    const accept = (user: User, welcome = 230): Effect.Effect<Reply> =>
      Effect.gen(function* () {
        if (user.filters.ftp_security === 1 && !control.tls) {
          return reply(530, "TLS is required");
        }
        const refused = yield* seat.login(user.username, user.max_sessions);
        if (Option.isSome(refused)) return reply(530, "too many sessions");
        session = yield* openSession({
          seat,
          username: user.username,
          protocol: "FTP",
          ip,
          remoteAddress: ip.includes(":") ? `[${ip}]:${client.port}` : `${ip}:${client.port}`,
          clientVersion: "",
          idleMinutes: common.idle_timeout,
          hangUp: (why) =>
            Effect.sync(() => {
              control.reply(reply(421, why));
              control.close(why);
            }),
          wheel,
          fork: (effect) => void bridge.run(effect),
        });
        const lane = yield* session.lane("FTP", "");
        const vfs = yield* Effect.either(factory.forSession(user, lane.principal, lane.observer));
        if (vfs._tag === "Left") {
          yield* Effect.logWarning("the user's storage cannot be opened", vfs.left);
          return reply(530, "the storage cannot be opened");
        }
        // Before the storages close.
        yield* Effect.addFinalizer(() =>
          Effect.forEach(files, (file) => file.leave(), { discard: true })
        );
        state.account = { vfs: vfs.right, cwd: vfs.right.home };
        yield* Effect.logInfo("logged in").pipe(
          Effect.annotateLogs({ username: user.username, ip, session: session.id }),
        );
        return reply(welcome, "logged in");
      }).pipe(
        Scope.extend(scope),
        Effect.provide(services),
      );

    const bridge = yield* makeBridge;
    const data = new DataConnections(
      settings.data_timeout * 1000,
      context,
      settings.tls_session_reuse,
    );
    data.secured = binding.tls_mode === 2;
    const state: State = {
      settings,
      control,
      data,
      tls,
      tlsMode: binding.tls_mode,
      certificateRequired: binding.client_auth_type === 1,
      certificate: () => control.tls && tls.ask ? prove(control.tls, Date.now()) : undefined,
      facts: allFacts,
      username: undefined,
      account: undefined,
      ascii: false,
      restart: 0,
      renameFrom: undefined,
      hash: "sha256",
      run: (operation) =>
        new Promise((resolve, reject) => {
          if (!session) return reject(new Error("nobody is logged in"));
          session.submit(
            operation,
            (exit) => Exit.isSuccess(exit) ? resolve(exit.value) : reject(Cause.squash(exit.cause)),
          );
        }),
      openFile: async (vfs, path, options) => {
        const file = await state.run(vfs.openFile(path, options));
        files.add(file);
        return file;
      },
      leave: async (file) => {
        files.delete(file);
        await bridge.run(file.leave());
      },
      certify: async (username) => {
        const shown = state.certificate();
        if (!shown) return undefined;
        const tried = await bridge.run(
          Effect.flatMap(
            attempts.certificate(username, shown),
            (outcome) =>
              outcome._tag === "Accepted" ? accept(outcome.user, 232) : Effect.succeed(undefined),
          ),
        );
        return Exit.isSuccess(tried) ? tried.value : reply(421, "internal error");
      },
      login: async (username, password) => {
        const tried = await bridge.run(
          Effect.flatMap(attempts.password(username, password), (outcome) =>
            outcome._tag === "Accepted" ? accept(outcome.user) : Effect.succeed(
              outcome._tag === "Refused" && outcome.exhausted
                ? reply(421, "too many wrong passwords")
                : reply(530, "wrong user name or password"),
            )),
        );
        const answer = Exit.isSuccess(tried) ? tried.value : reply(421, "internal error");
        if (answer.code === 421) {
          control.reply(answer);
          control.close("the login failed");
          return reply(0, "");
        }
        return answer;
      },
      reply: (what) =>
        control.reply(what),
    };
    const interpreter = new Interpreter(state, (error) =>
      void bridge.run(
        Effect.logWarning("an FTP command failed", Cause.die(error)).pipe(
          Effect.annotateLogs({ ip }),
        ),
      ));

    yield* Effect.addFinalizer(() =>
      Effect.sync(() => control.close("the session is over"))
    );
    const grace = settings.login_grace * 1000;
    yield* wheel.every((now) => {
      if (state.account || grace === 0 || now - client.acceptedAt < grace) return;
      control.reply(reply(421, "login took too long"));
      control.close("login took too long");
    });
    control.open(binding.tls_mode === 2 ? tls : undefined, () => {
      control.reply(reply(220, bannerOf(settings)));
    });

    const why = yield* Effect.promise(() => closed);
    if (session) yield* session.end(why);
    else yield* attempts.abandoned;
    yield* Effect.logDebug("connection closed").pipe(Effect.annotateLogs({ ip, why }));
  });
