import { Effect, ExecutionStrategy, Exit, Scope } from "effect";
import type { FsError } from "../../../src/errors.ts";
import type { OpenOptions } from "../../../src/vfs/vfs.ts";
import { decodeAttributes, decodeInitial, encodeAttributes } from "./attrs.ts";
import { Encoder, statusPacket } from "./encoder.ts";
import { OpenFile } from "./handles.ts";
import { code, openFlag, packet } from "./protocol.ts";
import type { Session } from "./session.ts";
import type { Handler } from "./table.ts";
import { handlePacket } from "./transfer.ts";

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
  if (session.free && openedNow(session, id, raw, options)) return;
  session.control(id, opening(session, id, raw, options));
};

/** Opens where the request arrives, if nothing has to be waited for. */
const openedNow = (session: Session, id: number, raw: string, options: OpenOptions): boolean => {
  const slot = session.handles.reserve();
  if (slot === undefined) return false;
  const handle = session.vfs.openNow(raw, options);
  if (!handle) {
    session.handles.free(slot);
    return false;
  }
  const file = new OpenFile(handle, options.append);
  session.reply(handlePacket(id, session.handles.fill(slot, file)), session.cost);
  // While the client makes up its first write.
  if (handle.prepare) setImmediate(() => handle.prepare?.());
  return true;
};

const opening = (
  session: Session,
  id: number,
  raw: string,
  options: OpenOptions,
): Effect.Effect<Uint8Array, FsError> =>
  Effect.uninterruptible(Effect.suspend(() => {
    const slot = session.handles.reserve();
    if (slot === undefined) return Effect.succeed(tooMany(session, id));
    const path = session.vfs.resolve(raw);
    return Effect.matchCauseEffect(
      Effect.flatMap(path, (path) => session.vfs.openFile(path, options)),
      {
        onSuccess: (handle) => {
          const file = new OpenFile(handle, options.append);
          const answer = handlePacket(id, session.handles.fill(slot, file));
          // Nobody would leave it any more.
          return session.ended ? Effect.as(file.leave, answer) : Effect.succeed(answer);
        },
        onFailure: (cause) => {
          session.handles.free(slot);
          return Effect.failCause(cause);
        },
      },
    );
  }));

const tooMany = (session: Session, id: number): Uint8Array => {
  const max = session.context.settings.max_handles;
  return statusPacket(id, code.failure, `Too many open handles (the limit is ${max})`);
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
    if (slot === undefined) return Effect.succeed(tooMany(session, id));
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
 * CLOSE (section 6.3). An upload is committed first; OK means that it is stored.
 * The handle is gone whatever the answer.
 */
export const close: Handler = (session, id, body) => {
  const raw = body.bytes();
  if (session.refused(id, body)) return;
  const taken = session.handles.take(raw);
  if (!taken) return session.status(id, code.failure, "No such handle");
  const { opened, index } = taken;
  const free = () => session.handles.free(index);
  if (opened.kind === "directory") {
    const closed = Scope.close(opened.scope, Exit.void);
    return session.control(id, Effect.as(Effect.ensuring(closed, Effect.sync(free)), success(id)));
  }
  if (session.free && opened.turns.quiet && opened.handle.closeNow()) {
    free();
    return session.ok(id, session.cost);
  }
  session.control(
    id,
    Effect.matchCauseEffect(opened.handle.close(), {
      onSuccess: () => {
        free();
        return Effect.succeed(success(id));
      },
      onFailure: (cause) => {
        // Its turn is the last of this handle: given back here, since leaving waits for it.
        opened.turns.leaveAlone();
        return Effect.andThen(
          opened.leave,
          Effect.suspend(() => {
            free();
            return Effect.failCause(cause);
          }),
        );
      },
    }),
    opened,
  );
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
