import { resolve } from "node:path";
import { createSecureContext } from "node:tls";
import { Effect, Layer } from "effect";
import { layer as keyFiles } from "../adapters/keys/key_files.ts";
import { layer as masterKey } from "../adapters/keys/master_key.ts";
import { commandEngine } from "../adapters/ssh/commands/commands.ts";
import { serveSsh } from "../adapters/ssh/server.ts";
import { serveSftp } from "../adapters/ssh/sftp/sftp.ts";
import { davSites } from "../adapters/webdav/server.ts";
import { listenForUsers } from "../web/users_listener.ts";
import { Config, type Settings } from "./config/config.ts";
import { ConfigError } from "./errors.ts";
import { layer as identity, sharedLayer } from "./identity/layer.ts";

/** Who may log in, in a server of one thread. */
export const identityLayer = Layer.provideMerge(identity, Layer.mergeAll(keyFiles, masterKey));

/** The same in a worker, where neither the master key nor wrong codes are kept. */
export const workerIdentity = Layer.provide(sharedLayer, keyFiles);

/**
 * Starts every protocol on its bindings, in this thread, until the scope closes.
 * Answers the bound addresses by protocol once all accept.
 */
export const serveProtocols = Effect.gen(function* () {
  const ssh = yield* serveSsh({ sftp: serveSftp, exec: commandEngine });
  const settings = yield* Config;
  const { common, httpd, webdavd } = settings;
  const dav = yield* davSites;
  const idleMinutes = common.idle_timeout;
  return {
    sftp: ssh.addresses,
    http: yield* Effect.forEach(
      httpd.bindings,
      (binding) =>
        listenForUsers({ ...binding, where: "httpd.bindings", sites: [dav("/dav")], idleMinutes }),
    ),
    webdav: yield* Effect.forEach(
      webdavd.bindings,
      ({ address, port, enable_https }) =>
        Effect.gen(function* () {
          const own = { address, port, where: "webdavd.bindings", sites: [dav("")], idleMinutes };
          return yield* listenForUsers(
            enable_https ? { ...own, tls: yield* certificate(settings) } : own,
          );
        }),
    ),
  };
});

/** The PEM texts of `webdavd.certificate_file` and its key. */
const certificate = ({ data_dir, webdavd }: Settings) =>
  Effect.tryPromise({
    try: async () => {
      const { certificate_file, certificate_key_file } = webdavd;
      if (certificate_file === "" || certificate_key_file === "") {
        throw new Error("enable_https needs certificate_file and certificate_key_file");
      }
      const cert = await Deno.readTextFile(resolve(data_dir, certificate_file));
      const key = await Deno.readTextFile(resolve(data_dir, certificate_key_file));
      // Says now what a handshake would say to every client.
      createSecureContext({ cert, key });
      return { cert, key };
    },
    catch: (error) =>
      new ConfigError({
        problems: [{
          where: "webdavd.certificate_file",
          what: `the TLS certificate cannot be used (${
            error instanceof Error ? error.message : error
          })`,
        }],
      }),
  });
