import { Effect } from "effect";
import type { Journal } from "../events/journal.ts";
import type { LoginProtocol } from "./identity.ts";
import { printable } from "./naming.ts";

/**
 * Records what becomes of one connection's attempts to log in.
 *
 * Reasons are for operators: the client never learns them. Neither names nor
 * reasons hold control characters, and no secret ever gets here.
 */
export const loginEvents = (
  journal: typeof Journal.Service,
  peer: {
    readonly ip: string;
    readonly protocol: LoginProtocol;
    readonly sessionId: string;
  },
) => {
  const place = { ip: peer.ip, protocol: peer.protocol, session_id: peer.sessionId } as const;
  let silent = true;
  let offered = { username: "", keys: 0 };

  const failed = (username: string, method: string, reason: string): Effect.Effect<void> =>
    journal.record({
      ...place,
      action: "login.failed",
      status: 2,
      username: printable(username),
      method,
      message: printable(reason),
    }).pipe(
      Effect.catchAllCause((cause) =>
        Effect.logError("a refused login could not be recorded", cause)
      ),
    );

  return {
    /** An attempt begins; its end is recorded whatever happens. */
    begun: (): void => {
      silent = false;
    },
    /** The client asked whether a key would do. */
    offered: (username: string): void => {
      offered = { username, keys: offered.keys + 1 };
    },
    failed,
    succeeded: (username: string, method: string, detail?: string): Effect.Effect<void> =>
      journal.record({
        ...place,
        action: "login.succeeded",
        status: 1,
        username,
        method,
        ...(detail === undefined ? {} : { message: printable(detail) }),
      }),
    /** Records a client that left without an attempt, once (BEHAVIOUR SSH-04). */
    abandoned: Effect.suspend(() => {
      if (!silent) return Effect.void;
      silent = false;
      const { username, keys } = offered;
      return keys === 0
        ? failed("", "no_auth_tried", "no login was tried")
        : failed(username, "publickey", `${keys} keys were offered and none signed`);
    }),
  };
};
