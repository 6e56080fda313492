import { makeHangUp } from "../src/hang_up.ts";
import type { ServeConnection } from "./accept.ts";

/**
 * Serves a TLS connection once its handshake is done. The runtime's own serving
 * hears no signal before that, and closing does not end a handshake: who sent half a
 * hello was never cut [measured on Deno 2.9.6, SECURITY 7.6].
 */
export const afterHandshake = (serve: ServeConnection): ServeConnection => {
  const hangUp = makeHangUp();
  return (conn, signal, ...rest) => {
    let served: ReturnType<ServeConnection> | undefined;
    const ends = {
      local: conn.localAddr as Deno.NetAddr,
      remote: conn.remoteAddr as Deno.NetAddr,
    };
    const cut = () => {
      hangUp(ends);
      close();
    };
    const close = () => {
      try {
        conn.close();
      } catch {
        // It is closed already.
      }
    };
    const finished = (async () => {
      signal.addEventListener("abort", cut, { once: true });
      try {
        await (conn as Deno.TlsConn).handshake();
      } catch {
        // It left, or was cut, or speaks no TLS.
        return close();
      } finally {
        signal.removeEventListener("abort", cut);
      }
      if (signal.aborted) return close();
      served = serve(conn, signal, ...rest);
      await served.finished;
    })();
    return { finished, shutdown: async () => await served?.shutdown() };
  };
};
