import { type Door, type Handler, openDoor, type ServeConnection } from "./accept.ts";
import { openPipes, type Pipes } from "./pipes.ts";
import { type ClientTls, Front, type ServeFar, WHY } from "./tls_front.ts";

/**
 * Accepts connections whose clients may show a certificate, which the runtime's own
 * TLS cannot ask for (decision 0024): TLS is node's, over our socket, and the
 * decrypted bytes go through a pipe to the runtime's HTTP. Closes `listener` where it fails.
 */
export const openTlsDoor = (
  listener: Deno.TcpListener,
  clients: ClientTls,
  serve: ServeConnection,
  handler: Handler,
): Door => {
  let pipes: Pipes;
  try {
    pipes = openPipes();
  } catch (error) {
    listener.close();
    throw error;
  }
  const fronts = new Set<Front>();
  const door = openDoor(listener, behindTls(clients, pipes, fronts, serve), handler);
  return {
    ...door,
    shutdown: async () => {
      await door.shutdown();
      // Of answers that HTTP has given some may still be on their way through TLS.
      await Promise.allSettled([...fronts].map(({ finished }) => finished));
    },
    cut: () => {
      door.cut();
      for (const front of [...fronts]) front.cut();
      pipes.close();
    },
  };
};

/**
 * The handler is told the client's real address and certificate beside the request,
 * so no byte of the client can say otherwise.
 */
const behindTls =
  (clients: ClientTls, pipes: Pipes, fronts: Set<Front>, serve: ServeConnection): ServeConnection =>
  (conn, signal, handler, onError, onListen, makeRoom) => {
    const front = new Front(conn as Deno.TcpConn, clients, makeRoom ?? (() => false));
    const remoteAddr = conn.remoteAddr as Deno.NetAddr;
    fronts.add(front);
    front.finished.then(() => fronts.delete(front));
    signal.addEventListener("abort", () => front.leave(), { once: true });
    const serveFar: ServeFar = (far, cutter) => {
      const told: Handler = (request, { completed }) => {
        const certificate = front.certificate(Date.now());
        return clients.required && !certificate
          ? Promise.resolve(new Response(WHY, { status: 403 }))
          : handler(request, { remoteAddr, completed, ...(certificate ? { certificate } : {}) });
      };
      return serve(far, cutter, told, onError, onListen);
    };
    front.open(pipes, serveFar);
    return front;
  };
