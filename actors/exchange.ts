import type { Effect, Scope } from "effect";
import type { GuardedProtocol } from "../src/model/ip_list.ts";
import type { ShownCertificate } from "../src/identity/tls_certificate.ts";
import type { Principal, Protocol } from "../src/model/session.ts";
import type { User } from "../src/model/user.ts";
import type { TransferObserver } from "../src/vfs/vfs.ts";
import type { Refused } from "./registry.ts";

/** Who is served by one exchange, for the VFS. */
export interface Guest {
  readonly principal: Principal;
  readonly observer: TransferObserver;
}

/**
 * One HTTP request and its answer, which is a session of its own: counted,
 * listed and kicked like any other (BEHAVIOUR DAV-14). Its scope closes when
 * the answer's last byte went out, when the client went away, or when it is kicked.
 */
export interface Exchange {
  readonly request: Request;
  /** The request target as it was sent, without scheme and host: `/dav/a%20b?x`. */
  readonly target: string;
  /** Client address without port. */
  readonly ip: string;
  readonly id: string;
  /** The client's own, where TLS has proven one. */
  readonly certificate?: ShownCertificate;
  /** Takes a place of the user and shows the exchange in the registry, until the scope closes. */
  readonly enter: (
    user: User,
    protocol: Protocol,
  ) => Effect.Effect<Guest, Refused, Scope.Scope>;
}

/** What answers requests below one prefix. Failures are its own to translate. */
export interface Site {
  /** Without trailing slash: `/dav`; empty for the whole tree. */
  readonly prefix: string;
  /** As IP lists and rate limits name what it serves. */
  readonly protocol: GuardedProtocol;
  readonly serve: (exchange: Exchange) => Effect.Effect<Response, never, Scope.Scope>;
}
