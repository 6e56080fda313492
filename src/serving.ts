import { Effect, Layer } from "effect";
import { loadAuthorities } from "../actors/client_authorities.ts";
import type { Site } from "../actors/exchange.ts";
import { makeContext } from "../actors/secure.ts";
import { layer as keyFiles } from "../adapters/keys/key_files.ts";
import { layer as masterKey } from "../adapters/keys/master_key.ts";
import { layer as tokenStore } from "../adapters/keys/token_store.ts";
import { commandEngine } from "../adapters/ssh/commands/commands.ts";
import { serveFtp } from "../adapters/ftp/server.ts";
import { serveSsh } from "../adapters/ssh/server.ts";
import { serveSftp } from "../adapters/ssh/sftp/sftp.ts";
import { davSites } from "../adapters/webdav/server.ts";
import { userApi } from "../web/api/site.ts";
import { tusSite } from "../web/api/tus/site.ts";
import { listenForUsers } from "../web/users_listener.ts";
import { Config } from "./config/config.ts";
import { webCertificate } from "./host_keys.ts";
import { layer as identity, sharedLayer } from "./identity/layer.ts";

/** Who may log in, in a server of one thread. */
export const identityLayer = Layer.provideMerge(
  identity,
  Layer.mergeAll(keyFiles, masterKey, tokenStore),
);

/** The same in a worker, where neither the master key nor wrong codes are kept. */
export const workerIdentity = Layer.merge(Layer.provide(sharedLayer, keyFiles), tokenStore);

/**
 * Starts every protocol on its bindings, in this thread, until the scope closes.
 * Answers the bound addresses by protocol once all accept.
 */
export const serveProtocols = Effect.gen(function* () {
  const ssh = yield* serveSsh({ sftp: serveSftp, exec: commandEngine });
  const ftp = yield* serveFtp;
  const dav = yield* davSites;
  const api = yield* userApi;
  const tus = yield* tusSite;
  return {
    sftp: ssh.addresses,
    ftp: ftp.addresses,
    http: yield* serveWeb("httpd", [dav("/dav"), tus, api]),
    webdav: yield* serveWeb("webdavd", [dav("")]),
  };
});

/** Serves `sites` on the bindings of one section. */
const serveWeb = (section: "httpd" | "webdavd", sites: ReadonlyArray<Site>) =>
  Effect.gen(function* () {
    const settings = yield* Config;
    const { bindings } = settings[section];
    const { pems, prove } = yield* loadAuthorities({
      dataDir: settings.data_dir,
      where: section,
      ...settings[section],
    });
    const tls = bindings.some(({ enable_https }) => enable_https)
      ? yield* webCertificate(settings, section)
      : undefined;
    return yield* Effect.forEach(bindings, ({ address, port, enable_https, client_auth_type }) => {
      const clients = tls && client_auth_type !== 0
        ? { context: makeContext(tls, 12, pems), required: client_auth_type === 1, prove }
        : undefined;
      return listenForUsers({
        address,
        port,
        where: `${section}.bindings`,
        sites,
        idleMinutes: settings.common.idle_timeout,
        ...(enable_https && tls
          ? { tls: { cert: tls.certificate, key: tls.key, ...(clients ? { clients } : {}) } }
          : {}),
      });
    });
  });
