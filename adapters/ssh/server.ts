import { readFile } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { Cause, Context, Effect, Exit, Option, Scope } from "effect";
import { type Client, listen } from "../../actors/listener.ts";
import { Registry } from "../../actors/registry.ts";
import { makeWheel, openSession, type Session, type Wheel } from "../../actors/session.ts";
import { Config, type Settings } from "../../src/config/config.ts";
import { ConfigError } from "../../src/errors.ts";
import { Journal } from "../../src/events/journal.ts";
import type { Guard } from "../../src/guard/guard.ts";
import { Identity, type Login } from "../../src/identity/identity.ts";
import type { Protocol } from "../../src/model/session.ts";
import type { User } from "../../src/model/user.ts";
import { version } from "../../src/version.ts";
import { VfsFactory } from "../../src/vfs/vfs.ts";
import { chooseAlgorithms } from "./algorithms.ts";
import { Authenticator } from "./auth.ts";
import { type Bridge, makeBridge } from "../../actors/bridge.ts";
import type { SshChannel } from "./channel.ts";
import { readyCiphers } from "./ciphers/ready.ts";
import { commandProtocol } from "./commands/commands.ts";
import { Connection, type ConnectionOptions } from "./connection.ts";
import type { Engine } from "./engine.ts";
import { handshakeQueue } from "./handshakes.ts";
import { loadHostKeys } from "./host_keys.ts";
import { Reason } from "./wire.ts";

/** What runs on channels. `exec` answers undefined for a command that is not served. */
export interface Engines {
  readonly sftp: Engine;
  readonly exec: (line: string, settings: Settings["sftpd"]) => Engine | undefined;
}

type Services = Config | Identity | VfsFactory | Journal | Registry;
/** Only these: a whole context would bring the server's own scope into every connection. */
const theServices = Effect.map(
  Effect.context<Services>(),
  Context.pick(Config, Identity, VfsFactory, Journal, Registry),
);

/**
 * Serves SFTP, SCP and commands over SSH on every configured binding until the
 * scope closes. Answers the bound addresses when all accept connections; fails
 * when a setting, a host key or an address cannot be used.
 */
export const serveSsh = (
  engines: Engines,
): Effect.Effect<
  { readonly addresses: ReadonlyArray<string> },
  ConfigError,
  Scope.Scope | Services | Guard
> =>
  Effect.gen(function* () {
    const config = yield* Config;
    const settings = config.sftpd;
    const algorithms = chooseAlgorithms(settings);
    if (algorithms instanceof ConfigError) return yield* algorithms;
    const banner = yield* readBanner(config);
    const hostKeys = yield* loadHostKeys({
      dataDir: config.data_dir,
      files: settings.host_keys,
      certificates: settings.host_certificates,
      algorithms: algorithms.serverHostKey,
    });
    yield* readyCiphers;
    const services = yield* theServices;
    const wheel = yield* makeWheel;
    const options: ConnectionOptions = {
      ident: settings.server_version === "short" ? "Sluice" : `Sluice_${version}`,
      hostKeys,
      algorithms: { ...algorithms, serverHostKey: [...hostKeys.keys()] },
      signatureAlgorithms: algorithms.publicKey,
      rekeyBytes: settings.rekey_bytes,
      rekeySeconds: settings.rekey_seconds,
      maxChannels: settings.max_channels,
      handshakes: handshakeQueue(),
    };
    const serve = (client: Client) =>
      Effect.provide(serveClient({ client, options, banner, engines, wheel }), services);
    const addresses = yield* Effect.forEach(settings.bindings, ({ address, port }) =>
      listen({
        protocol: "SSH",
        address,
        port,
        where: "sftpd.bindings",
        serve,
        farewell: () => "Not allowed at this time\r\n",
      }));
    return { addresses };
  });

const readBanner = (config: Settings): Effect.Effect<string, ConfigError> => {
  const { banner, banner_file: file } = config.sftpd;
  if (file === "") return Effect.succeed(withNewline(banner));
  const path = isAbsolute(file) ? file : join(config.data_dir, file);
  return Effect.tryPromise({
    try: () => readFile(path, "utf8"),
    catch: (error) =>
      new ConfigError({
        problems: [{
          where: "sftpd.banner_file",
          what: `${path} cannot be read (${error instanceof Error ? error.message : error})`,
        }],
      }),
  }).pipe(Effect.map((text) => withNewline(text)));
};

const withNewline = (text: string) =>
  text === "" ? "" : `${text.replace(/\r?\n/g, "\r\n").trimEnd()}\r\n`;

interface Guest {
  readonly client: Client;
  readonly options: ConnectionOptions;
  readonly banner: string;
  readonly engines: Engines;
  readonly wheel: Wheel;
}

/** One connection from accept to close. Everything it holds is tied to the scope. */
const serveClient = (
  { client, options, banner, engines, wheel }: Guest,
): Effect.Effect<void, never, Scope.Scope | Services> =>
  Effect.gen(function* () {
    const { sftpd: settings, common } = yield* Config;
    const services = yield* theServices;
    const scope = yield* Effect.scope;
    const bridge = yield* makeBridge;
    const identity = yield* Identity;
    const { ip, seat } = client;
    /** Both are let go of once somebody is logged in: a session may idle for days. */
    let login: Login | undefined = yield* identity.begin({
      ip,
      protocol: "SSH",
      sessionId: `SSH_${seat.id}`,
    });
    let auth: Authenticator | undefined;
    let session: Session | undefined;
    let clientVersion = "";

    const accept = (user: User, method: string) =>
      Effect.gen(function* () {
        const refused = yield* seat.login(user.username, user.max_sessions);
        if (Option.isSome(refused)) {
          yield* Effect.logInfo("session refused").pipe(
            Effect.annotateLogs({ username: user.username, ip, refusal: refused.value }),
          );
          return false;
        }
        session = yield* openSession({
          seat,
          username: user.username,
          protocol: "SSH",
          ip,
          remoteAddress: ip.includes(":") ? `[${ip}]:${client.port}` : `${ip}:${client.port}`,
          clientVersion,
          idleMinutes: common.idle_timeout,
          hangUp: (why) => Effect.sync(() => connection.disconnect(Reason.ByApplication, why)),
          wheel,
          fork: (effect) => void bridge.run(effect),
        }).pipe(Scope.extend(scope), Effect.provide(services));
        current = user;
        yield* Effect.logInfo("logged in").pipe(
          Effect.annotateLogs({ username: user.username, ip, method, session: session.id }),
        );
        connection.loggedIn();
        login = auth = undefined;
        return true;
      });
    let current: User | undefined;

    auth = new Authenticator(
      login,
      {
        send: (payload) => connection.send(payload),
        disconnect: (reason, why) => connection.disconnect(reason, why),
        sessionId: () => connection.sessionId,
        accept,
      },
      bridge,
      options.signatureAlgorithms,
    );

    let ended: (why: string) => void = () => {};
    const closed = new Promise<string>((resolve) => {
      ended = resolve;
    });
    const connection = new Connection(
      client.socket,
      options,
      {
        ident: (line) => {
          clientVersion = line.replace(/[^\x20-\x7e]/g, "?");
        },
        negotiated: () => {},
        auth: (type, fields, payload) => auth?.packet(type, fields, payload),
        channel: () => session?.state() === "ready",
        request: (channel, kind, what, reply) => {
          const engine = kind === "exec"
            ? engines.exec(what, settings)
            : what === "sftp"
            ? engines.sftp
            : undefined;
          if (!engine || !session || !current) return reply(false);
          const run = runEngine({
            engine,
            channel,
            reply,
            session,
            user: current,
            settings,
            bridge,
            protocol: kind === "subsystem" ? "SFTP" : commandProtocol(what),
            command: kind === "exec" ? what : "",
            place: connection.channels > 1 ? seat.another : Effect.succeed(Option.none()),
            disconnect: (why) => connection.disconnect(Reason.ProtocolError, why),
          });
          bridge.run(Effect.provide(run, services));
        },
        activity: () => session?.active(),
        closed: (why) => {
          auth?.close();
          ended(why);
        },
      },
      banner,
      client.acceptedAt,
    );
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => connection.disconnect(Reason.ByApplication, "the session is over"))
    );
    yield* wheel.every(watch(connection, client, settings));

    const why = yield* Effect.promise(() => closed);
    if (session) yield* session.end(why);
    else if (login) yield* login.abandoned;
    yield* Effect.logDebug("connection closed").pipe(Effect.annotateLogs({ ip, why }));
  });

/** Login grace from accept, keepalive probes, and key exchanges that are due. */
const watch = (connection: Connection, client: Client, settings: Settings["sftpd"]) => {
  let probes = 0;
  let lastProbe = 0;
  return (now: number) => {
    if (!connection.ready) {
      const grace = settings.login_grace * 1000;
      if (grace > 0 && now - client.acceptedAt >= grace) {
        connection.disconnect(Reason.ByApplication, "login took too long");
      }
      return;
    }
    connection.tick(now);
    const interval = settings.keepalive_interval * 1000;
    if (interval === 0) return;
    if (now - Math.max(connection.lastPacket, lastProbe) < interval) return;
    if (connection.lastPacket > lastProbe) probes = 0;
    if (probes >= settings.keepalive_count_max) {
      return connection.disconnect(Reason.ConnectionLost, "the client does not answer");
    }
    probes += 1;
    lastProbe = now;
    connection.probe();
  };
};

interface Run {
  readonly engine: Engine;
  readonly channel: SshChannel;
  readonly reply: (accepted: boolean) => void;
  readonly session: Session;
  readonly user: User;
  readonly settings: Settings["sftpd"];
  readonly bridge: Bridge;
  readonly protocol: Protocol;
  readonly command: string;
  /** Takes a further place of the user's sessions where this is not the first channel. */
  readonly place: Effect.Effect<Option.Option<unknown>, never, Scope.Scope>;
  readonly disconnect: (why: string) => void;
}

/** Runs one engine on its channel. A defect in it ends the channel's session, and no other. */
const runEngine = (run: Run): Effect.Effect<void, never, VfsFactory> =>
  Effect.gen(function* () {
    const { channel, session, reply } = run;
    if (Option.isSome(yield* run.place)) return reply(false);
    const lane = yield* session.lane(run.protocol, run.command);
    const factory = yield* VfsFactory;
    const vfs = yield* Effect.either(
      factory.forSession(run.user, lane.principal, lane.observer),
    );
    if (vfs._tag === "Left") {
      yield* Effect.logWarning("the user's storage cannot be opened", vfs.left).pipe(
        Effect.annotateLogs({ username: run.user.username }),
      );
      return reply(false);
    }
    reply(true);
    const status = yield* Effect.scoped(run.engine(channel, {
      vfs: vfs.right,
      user: run.user,
      settings: run.settings,
      control: (operation) => new Promise((done) => session.submit(operation, done)),
      disconnect: run.disconnect,
    }));
    yield* channel.close(status);
  }).pipe(
    Effect.scoped,
    Effect.onExit((exit) =>
      Exit.isFailure(exit) && !Cause.isInterruptedOnly(exit.cause)
        ? Effect.andThen(
          Effect.logError("engine ended by a defect", exit.cause).pipe(
            Effect.annotateLogs({ session: run.session.id }),
          ),
          run.session.end("internal error"),
        )
        : Effect.void
    ),
  );
