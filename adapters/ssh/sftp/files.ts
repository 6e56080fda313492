import { Effect, ExecutionStrategy, Exit, Scope } from "effect";
import { atMost } from "../../../src/at_most.ts";
import type { OpenOptions } from "../../../src/vfs/vfs.ts";
import { decodeAttributes, decodeInitial, encodeAttributes } from "./attrs.ts";
import { Encoder, statusPacket } from "./encoder.ts";
import { type OpenFile, release } from "./handles.ts";
import { code, openFlag, packet } from "./protocol.ts";
import type { Session } from "./session.ts";
import type { Handler } from "./table.ts";
import { handlePacket } from "./transfer.ts";
import { InOrder } from "./in_order.ts";
import { Turns } from "./turns.ts";

export const success = (id: number): Uint8Array => statusPacket(id, code.ok, "Success");

/** OPEN (section 6.3). */
export const open: Handler = (session, id, body) => {
  const raw = body.text();
  const flags = body.u32();
  const attributes = decodeInitial(body);
  if (session.refused(id, body)) return;
  const has = (flag: number) => (flags & flag) !== 0;
  const write = has(openFlag.write) || has(openFlag.append);
  const create = has(openFlag.create);
  if (!write && (create || has(openFlag.truncate))) {
    return session.status(id, code.failure, "Creating or truncating needs write access");
  }
  const options: OpenOptions = {
    // No access bit at all reads, as O_RDONLY is 0 for OpenSSH's server.
    read: has(openFlag.read) || !write,
    write,
    append: has(openFlag.append),
    create,
    truncate: has(openFlag.truncate),
    exclusive: create && has(openFlag.exclusive),
    ...(Object.keys(attributes).length > 0 && { attributes }),
  };
  session.control(
    id,
    inSlot(session, id, (scope) =>
      Effect.flatMap(
        Effect.flatMap(
          session.path(raw),
          (path) => Scope.extend(session.vfs.open(path, options), scope),
        ),
        (handle) => {
          const turns = new Turns(options.append);
          const file: OpenFile = { kind: "file", handle, turns, reads: new InOrder(), scope };
          return Effect.as(Scope.addFinalizer(scope, settled(turns)), file);
        },
      )),
  );
};

/**
 * Opens something in a scope of its own and a slot of the handle table;
 * a failure gives both back.
 */
export const inSlot = <E>(
  session: Session,
  id: number,
  make: (
    scope: Scope.CloseableScope,
  ) => Effect.Effect<Parameters<Session["handles"]["fill"]>[1], E>,
): Effect.Effect<Uint8Array, E> =>
  Effect.uninterruptibleMask((restore) => {
    const slot = session.handles.reserve();
    if (slot === undefined) {
      const max = session.context.settings.max_handles;
      return Effect.succeed(
        statusPacket(id, code.failure, `Too many open handles (the limit is ${max})`),
      );
    }
    return Effect.flatMap(
      Scope.fork(session.scope, sequential),
      (scope) =>
        Effect.matchCauseEffect(restore(make(scope)), {
          onSuccess: (opened) =>
            Effect.succeed(handlePacket(id, session.handles.fill(slot, opened))),
          onFailure: (cause) =>
            Effect.andThen(
              Scope.close(scope, Exit.failCause(cause)),
              Effect.suspend(() => {
                session.handles.free(slot);
                return Effect.failCause(cause);
              }),
            ),
        }),
    );
  });

const sequential = ExecutionStrategy.sequential;

/**
 * Waits, before the file is let go, for what still reads or writes it: a
 * descriptor that is closed under a write may be another file's by then. The
 * wait is bounded; a storage that hangs must not keep the session from ending.
 */
const settled = (turns: Turns): Effect.Effect<void> =>
  Effect.suspend(() => {
    turns.stop();
    if (turns.quiet) return Effect.void;
    return atMost("10 seconds")(Effect.promise(() => turns.idle()));
  });

/**
 * CLOSE (section 6.3). An upload is committed first; OK means that it is stored.
 * The handle is gone whatever the answer.
 */
export const close: Handler = (session, id, body) => {
  const raw = body.bytes();
  if (session.refused(id, body)) return;
  const taken = session.handles.take(raw);
  if (!taken) return session.status(id, code.failure, "No such handle");
  const { opened, index } = taken;
  const done = Effect.andThen(release(opened), Effect.sync(() => session.handles.free(index)));
  if (opened.kind === "directory") {
    return session.control(id, Effect.as(done, success(id)));
  }
  // Its turn is the last of this handle: given back here, since the scope waits for it.
  const last = Effect.andThen(Effect.sync(() => opened.turns.leaveAlone()), done);
  session.control(id, Effect.as(Effect.ensuring(opened.handle.close(), last), success(id)), opened);
};

/** FSTAT (section 6.8). */
export const fstat: Handler = (session, id, body) => {
  const raw = body.bytes();
  if (session.refused(id, body)) return;
  const file = session.file(id, raw);
  if (!file) return;
  session.control(id, Effect.map(file.handle.stat(), (entry) => attrsPacket(id, entry)), file);
};

/** FSETSTAT (section 6.9). */
export const fsetstat: Handler = (session, id, body) => {
  const raw = body.bytes();
  const attributes = decodeAttributes(body);
  if (session.refused(id, body)) return;
  const file = session.file(id, raw);
  if (!file) return;
  session.control(id, Effect.as(file.handle.setAttributes(attributes), success(id)), file);
};

/** ATTRS packet. */
export const attrsPacket = (id: number, entry: Parameters<typeof encodeAttributes>[1]) =>
  encodeAttributes(new Encoder(packet.attrs, id, 48), entry).finish();
