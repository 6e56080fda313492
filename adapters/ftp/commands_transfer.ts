import { Effect, Stream } from "effect";
import { FsError } from "../../src/errors.ts";
import type { Entry } from "../../src/model/entry.ts";
import { matchName } from "../../src/vfs/glob.ts";
import { toRead, toReplace } from "../../src/vfs/vfs.ts";
import { basename, parent, type VPath } from "../../src/vpath.ts";
import type { Channel } from "./channel.ts";
import { facts, longLine } from "./listing.ts";
import { accountOf, pathOf } from "./paths.ts";
import { refuse, type Reply, reply } from "./reply.ts";
import type { Command, State } from "./state.ts";
import { lineSender, receiveFile, sendFile, watchStill } from "./transfer.ts";

/** Opens the data connection, moves bytes over it, and says how it went. */
const transfer = async (
  state: State,
  move: (channel: Channel) => Promise<void>,
  upload = false,
): Promise<Reply> => {
  const { data, settings } = state;
  if (state.tlsMode !== 0 && !data.secured) throw refuse(522, "protect the data: PROT P");
  if (!data.prepared) throw refuse(425, "use PASV or EPSV first");
  const announce = () => state.reply(reply(150, "the data connection is opening"));
  const channel = await data.open(upload, announce);
  const watch = watchStill(channel, settings.data_timeout * 1000);
  try {
    await move(channel);
    data.done();
    return reply(226, "the transfer is complete");
  } catch (error) {
    const ours = error instanceof FsError && !data.aborted;
    if (ours && upload) data.linger();
    else data.release();
    watch.check();
    if (data.aborted) throw refuse(426, "the transfer was aborted");
    if (ours) throw error;
    throw refuse(426, "the data connection was cut");
  } finally {
    watch.stop();
  }
};

const upload = async (state: State, path: VPath, append: boolean): Promise<Reply> => {
  const { vfs } = accountOf(state);
  const offset = state.restart;
  if (offset > 0) {
    if (state.ascii) throw refuse(504, "REST goes with TYPE I only");
    const { size } = await state.run(vfs.stat(path));
    if (offset > size) throw refuse(554, "REST is beyond the end of the file");
  }
  const options = { ...toReplace, append, truncate: !append && offset === 0 };
  const handle = await state.openFile(vfs, path, options);
  try {
    const start = append ? (await state.run(handle.stat())).size : offset;
    return await transfer(state, async (channel) => {
      await receiveFile(handle, channel, start, state.ascii);
      // Only an end that the client meant comes this far.
      await state.run(handle.close());
      await channel.finish().catch(() => {});
    }, true);
  } finally {
    await state.leave(handle);
  }
};

const download = async (state: State, path: VPath): Promise<Reply> => {
  const { vfs } = accountOf(state);
  const offset = state.restart;
  if (offset > 0 && state.ascii) throw refuse(504, "REST goes with TYPE I only");
  const handle = await state.openFile(vfs, path, toRead);
  try {
    const { size } = await state.run(handle.stat());
    if (offset > size) throw refuse(554, "REST is beyond the end of the file");
    return await transfer(state, async (channel) => {
      await sendFile(handle, channel, offset, state.ascii);
      await state.run(handle.close());
    });
  } finally {
    await state.leave(handle);
  }
};

/** `*` and `?` in the last name of LIST and NLST choose names (BEHAVIOUR FTP-01). */
const chooser = (wanted: string): (name: string) => boolean => {
  // No regular expression: one of a few stars costs minutes.
  const pattern = wanted.replace(/[[\\]/g, "\\$&");
  return (name) => matchName(pattern, name);
};

/** Options of `ls`, which many clients send, are left out; a name may begin with `-` after another word. */
const withoutOptions = (argument: string) => argument.replace(/^(-[A-Za-z0-9]+( +|$))+/, "");

type Format = (entry: Entry, now: number) => string;

const list = async (state: State, argument: string, format: Format, wild: boolean) => {
  const { vfs, cwd } = accountOf(state);
  const asked = argument === "" ? cwd : await pathOf(state, argument);
  const name = basename(asked);
  const globbed = wild && /[*?]/.test(name);
  const directory = globbed ? parent(asked) : asked;
  const chosen = globbed ? chooser(name) : () => true;
  const found = await state.run(vfs.stat(directory));
  if (found.kind !== "dir" && !wild) throw refuse(501, "it is not a directory");
  const entries = found.kind === "dir"
    ? vfs.list(directory)
    : Stream.make({ ...found, name: basename(directory) });
  return await transfer(state, async (channel) => {
    const sender = lineSender(channel);
    const now = Date.now();
    await state.run(
      Stream.runForEach(
        entries,
        (entry) =>
          chosen(entry.name)
            ? Effect.tryPromise(() => sender.line(format(entry, now)))
            : Effect.void,
      ),
    );
    await sender.finish();
  });
};

/** Characters of a listing that fits on a control connection. */
const MAX_STAT = 64 * 1024;

/** How the session stands; or of a path what LIST would say (RFC 959 section 4.1.3). */
const stat = async (state: State, argument: string): Promise<Reply> => {
  const { vfs, cwd } = accountOf(state);
  if (argument === "") {
    const protection = state.control.tls ? state.control.tls.getProtocol() ?? "TLS" : "in clear";
    return reply(211, [
      "Status:",
      `control connection ${protection}, data ${state.data.secured ? "protected" : "in clear"}`,
      `TYPE ${state.ascii ? "A" : "I"}; STRU F; MODE S`,
      `directory ${cwd}`,
      "End",
    ]);
  }
  const path = await pathOf(state, withoutOptions(argument));
  const found = await state.run(vfs.stat(path));
  const now = Date.now();
  const lines: string[] = [];
  let length = 0;
  const entries = found.kind === "dir" ? vfs.list(path) : Stream.make({ ...found, name: path });
  await state.run(
    Stream.runForEachWhile(entries, (entry) =>
      Effect.sync(() => {
        const line = longLine(entry, now);
        length += line.length;
        lines.push(line);
        return length <= MAX_STAT;
      })),
  );
  if (length > MAX_STAT) throw refuse(450, "too much for STAT; use LIST or MLSD");
  return reply(found.kind === "dir" ? 212 : 213, [`Status of ${path}:`, ...lines, "End"]);
};

/** Commands that move bytes over a data connection, and STAT, which lists without one. */
export const transferCommands: Readonly<Record<string, Command>> = {
  RETR: {
    argument: "required",
    restarts: true,
    handler: async (state, argument) => download(state, await pathOf(state, argument)),
  },
  STOR: {
    argument: "required",
    restarts: true,
    handler: async (state, argument) => upload(state, await pathOf(state, argument), false),
  },
  APPE: {
    argument: "required",
    handler: async (state, argument) => upload(state, await pathOf(state, argument), true),
  },
  STAT: { handler: stat },
  LIST: { handler: (state, argument) => list(state, withoutOptions(argument), longLine, true) },
  NLST: {
    handler: (state, argument) =>
      list(state, withoutOptions(argument), (entry) => entry.name, true),
  },
  MLSD: {
    handler: (state, argument) =>
      list(state, argument, (entry) => `${facts(entry, state.facts)} ${entry.name}`, false),
  },
};
