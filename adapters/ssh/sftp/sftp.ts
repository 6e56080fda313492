import { Effect, FiberSet } from "effect";
import type { FsError } from "../../../src/errors.ts";
import type { ByteChannel } from "../byte_channel.ts";
import type { Engine } from "../engine.ts";
import { Body } from "./body.ts";
import { byType } from "./dispatch.ts";
import { versionPacket } from "./extensions.ts";
import { Input } from "./input.ts";
import { code, packet } from "./protocol.ts";
import { Session } from "./session.ts";

/**
 * Serves SFTP version 3 (draft-ietf-secsh-filexfer-02) on a raw channel.
 *
 * Ends with status 0 when the client closed its side and every request was
 * answered, with undefined when the connection was lost or broke the protocol.
 * Dies of a defect in a handle, so that the session ends with it. Leaving the
 * scope closes every handle; uploads that were not closed are aborted.
 */
export const serveSftp: Engine = (channel, context) =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope;
    const run = yield* FiberSet.makeRuntimePromise<never, Uint8Array, FsError>();
    const session = new Session(channel, context, scope, run);
    yield* Effect.addFinalizer(() => session.leave());
    return yield* Effect.async<number | undefined>((resume) => {
      session.onDefect((cause) => {
        session.end();
        resume(Effect.die(cause));
      });
      pump(channel, session).then(
        (status) => resume(Effect.succeed(status)),
        (cause) => resume(Effect.die(cause)),
      );
      return Effect.sync(() => session.end());
    });
  });

const pump = async (channel: ByteChannel, session: Session): Promise<number | undefined> => {
  const input = new Input(channel);
  const body = new Body();
  const breach = (why: string): undefined => {
    session.end();
    session.context.disconnect(`SFTP: ${why}`);
  };
  let started = false;
  while (!session.ended) {
    const next = input.next();
    if (next === undefined) {
      const state = await input.more();
      if (state === "lost") return void session.end();
      if (state === "ended") return finish(session);
    } else if (!(next instanceof Uint8Array)) {
      return breach(`packet of ${next.badLength} bytes`);
    } else if (started) {
      if (session.budget.full) await session.budget.room();
      if (next.length < 5) return breach("packet without a request id");
      dispatch(session, body, next);
    } else {
      if (next[0] !== packet.init || next.length < 5) return breach("no INIT at the start");
      started = true;
      session.output.send(versionPacket());
    }
  }
  return undefined;
};

const dispatch = (session: Session, body: Body, bytes: Uint8Array): void => {
  session.cost = bytes.length;
  session.budget.begin(bytes.length);
  body.reset(bytes, 1);
  const id = body.u32();
  const row = byType[bytes[0]!];
  if (row) row.handler(session, id, body);
  else session.status(id, code.unsupported, `Unknown request type ${bytes[0]}`);
  body.release();
};

/** End of input: answers what was asked, sends it, and is done (SECURITY 3.1 item 25). */
const finish = async (session: Session): Promise<number | undefined> => {
  await session.quiet();
  if (session.ended) return undefined;
  session.end();
  return 0;
};
