import { Effect, Layer } from "effect";
import { layer as keyFiles } from "../adapters/keys/key_files.ts";
import { layer as masterKey } from "../adapters/keys/master_key.ts";
import { layer as tokenStore } from "../adapters/keys/token_store.ts";
import { commandEngine } from "../adapters/ssh/commands/commands.ts";
import { serveFtp } from "../adapters/ftp/server.ts";
import { serveSsh } from "../adapters/ssh/server.ts";
import { serveSftp } from "../adapters/ssh/sftp/sftp.ts";
import { davSites } from "../adapters/webdav/server.ts";
import { userApi } from "../web/api/site.ts";
import { listenForUsers } from "../web/users_listener.ts";
import { Config } from "./config/config.ts";
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
  const { common, httpd, webdavd } = yield* Config;
  const dav = yield* davSites;
  const api = yield* userApi;
  const serveHttp = (section: "httpd" | "webdavd", prefix: string) =>
    Effect.forEach(
      section === "httpd" ? httpd.bindings : webdavd.bindings,
      ({ address, port }) =>
        listenForUsers({
          address,
          port,
          where: `${section}.bindings`,
          sites: section === "httpd" ? [dav(prefix), api] : [dav(prefix)],
          idleMinutes: common.idle_timeout,
        }),
    );
  return {
    sftp: ssh.addresses,
    ftp: ftp.addresses,
    http: yield* serveHttp("httpd", "/dav"),
    webdav: yield* serveHttp("webdavd", ""),
  };
});
