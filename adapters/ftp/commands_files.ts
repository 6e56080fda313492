import type { ChecksumAlgorithm } from "../../src/vfs/vfs.ts";
import { combine } from "./combine.ts";
import { facts, readStamp, stamp } from "./listing.ts";
import { accountOf, pathOf, quoted } from "./paths.ts";
import { refuse, reply } from "./reply.ts";
import type { Command, Handler, State } from "./state.ts";

const at = (
  does: (state: State, path: Awaited<ReturnType<typeof pathOf>>) => ReturnType<Handler>,
): Command => ({
  argument: "required",
  handler: async (state, argument) => await does(state, await pathOf(state, argument)),
});

const goTo = async (state: State, argument: string) => {
  const account = accountOf(state);
  const path = await pathOf(state, argument);
  if ((await state.run(account.vfs.stat(path))).kind !== "dir") {
    throw refuse(550, "it is not a directory");
  }
  account.cwd = path;
  return reply(250, `the directory is ${quoted(path)}`);
};

const setTime = async (state: State, argument: string) => {
  const [, text = "", name = ""] = /^(\S+) (.+)$/s.exec(argument) ?? [];
  const mtime = readStamp(text);
  if (mtime === undefined) throw refuse(501, "use YYYYMMDDHHMMSS and a path");
  const path = await pathOf(state, name);
  await state.run(accountOf(state).vfs.setAttributes(path, { mtime }));
  return reply(213, `Modify=${stamp(mtime)}; ${path}`);
};

const algorithms: Readonly<Record<string, ChecksumAlgorithm>> = {
  "MD5": "md5",
  "SHA-1": "sha1",
  "SHA-256": "sha256",
  "SHA-512": "sha512",
  "CRC32": "crc32",
};
const nameOf = (chosen: ChecksumAlgorithm) =>
  Object.keys(algorithms).find((name) => algorithms[name] === chosen) ?? "";

const checksum = async (state: State, argument: string, algorithm: ChecksumAlgorithm) => {
  if (!state.settings.hash_support) throw refuse(502, "checksums are off");
  const path = await pathOf(state, argument);
  const { vfs } = accountOf(state);
  const { size, kind } = await state.run(vfs.stat(path));
  if (kind !== "file") throw refuse(550, "it is not a file");
  const [digest = ""] = await state.run(vfs.checksum(path, algorithm));
  return { path, size, digest };
};
const plainSum = (algorithm: ChecksumAlgorithm): Command => ({
  argument: "required",
  handler: async (state, argument) =>
    reply(250, (await checksum(state, argument, algorithm)).digest),
});

const siteVerbs: Readonly<Record<string, Handler>> = {
  CHMOD: async (state, argument) => {
    const [, mode = "", name = ""] = /^([0-7]{3,4}) (.+)$/s.exec(argument) ?? [];
    if (mode === "") throw refuse(501, "use SITE CHMOD and an octal mode and a path");
    const path = await pathOf(state, name);
    await state.run(accountOf(state).vfs.setAttributes(path, { mode: parseInt(mode, 8) }));
    return reply(200, "the mode is set");
  },
  UTIME: async (state, argument) => {
    await setTime(state, argument);
    return reply(200, "the time is set");
  },
  SYMLINK: async (state, argument) => {
    const [, target = "", name = ""] = /^(\S+) (.+)$/s.exec(argument) ?? [];
    if (target === "") throw refuse(501, "use SITE SYMLINK and a target and a path");
    await state.run(accountOf(state).vfs.symlink(target, await pathOf(state, name)));
    return reply(200, "the link is made");
  },
};

/** Commands on names, which need no data connection. */
export const fileCommands: Readonly<Record<string, Command>> = {
  PWD: { handler: (state) => reply(257, `${quoted(accountOf(state).cwd)} is the directory`) },
  CWD: { argument: "required", handler: goTo },
  CDUP: { handler: (state) => goTo(state, "..") },
  MKD: at(async (state, path) => {
    await state.run(accountOf(state).vfs.mkdir(path));
    return reply(257, `${quoted(path)} was made`);
  }),
  RMD: at(async (state, path) => {
    await state.run(accountOf(state).vfs.rmdir(path));
    return reply(250, "the directory is gone");
  }),
  DELE: at(async (state, path) => {
    await state.run(accountOf(state).vfs.remove(path));
    return reply(250, "the file is gone");
  }),
  RNFR: at(async (state, path) => {
    await state.run(accountOf(state).vfs.lstat(path));
    state.renameFrom = path;
    return reply(350, "now RNTO");
  }),
  RNTO: at(async (state, path) => {
    const from = state.renameFrom;
    if (from === undefined) throw refuse(503, "RNFR comes first");
    state.renameFrom = undefined;
    await state.run(accountOf(state).vfs.rename(from, path, { replace: true }));
    return reply(250, "renamed");
  }),
  SIZE: at(async (state, path) => {
    if (state.ascii) throw refuse(550, "SIZE goes with TYPE I only");
    const { kind, size } = await state.run(accountOf(state).vfs.stat(path));
    if (kind !== "file") throw refuse(550, "it is not a file");
    return reply(213, String(size));
  }),
  MDTM: at(async (state, path) =>
    reply(213, stamp((await state.run(accountOf(state).vfs.stat(path))).mtime))
  ),
  MFMT: { argument: "required", handler: setTime },
  MFF: {
    argument: "required",
    handler: async (state, argument) => {
      const [, wanted = "", name = ""] = /^(\S*;) (.+)$/s.exec(argument) ?? [];
      const changes: { mtime?: number; mode?: number } = {};
      for (const fact of wanted.split(";").filter((part) => part !== "")) {
        const [key = "", value = ""] = fact.toLowerCase().split("=");
        const mtime = key === "modify" ? readStamp(value) : undefined;
        if (mtime !== undefined) changes.mtime = mtime;
        else if (key === "unix.mode" && /^[0-7]{3,5}$/.test(value)) {
          changes.mode = parseInt(value, 8) & 0o7777;
        } else throw refuse(504, "only modify and UNIX.mode can be set");
      }
      if (wanted === "") throw refuse(501, "use facts, each with ; and then a path");
      const path = await pathOf(state, name);
      await state.run(accountOf(state).vfs.setAttributes(path, changes));
      return reply(213, `${wanted} ${path}`);
    },
  },
  MLST: {
    handler: async (state, argument) => {
      const { vfs, cwd } = accountOf(state);
      const path = argument === "" ? cwd : await pathOf(state, argument);
      const entry = await state.run(vfs.stat(path));
      return reply(250, ["facts:", `${facts(entry, state.facts)} ${path}`, "end"]);
    },
  },
  AVBL: {
    handler: async (state, argument) => {
      const { vfs, cwd } = accountOf(state);
      const path = argument === "" ? cwd : await pathOf(state, argument);
      await state.run(vfs.stat(path));
      return reply(213, String((await state.run(vfs.available(path))).freeBytes));
    },
  },
  HASH: {
    argument: "required",
    handler: async (state, argument) => {
      const { path, size, digest } = await checksum(state, argument, state.hash);
      return reply(213, `${nameOf(state.hash)} 0-${size} ${digest} ${path}`);
    },
  },
  COMB: combine,
  XCRC: plainSum("crc32"),
  XMD5: plainSum("md5"),
  XSHA1: plainSum("sha1"),
  XSHA256: plainSum("sha256"),
  XSHA512: plainSum("sha512"),
  SITE: {
    argument: "required",
    handler: (state, argument) => {
      const [verb = "", ...rest] = argument.split(" ");
      const handler = siteVerbs[verb.toUpperCase()];
      if (!state.settings.enable_site || !handler) throw refuse(502, "SITE has no such command");
      return handler(state, rest.join(" "));
    },
  },
};

/** OPTS HASH (draft-bryan-ftp-hash section 4). */
export const chooseHash: Handler = (state, name) => {
  if (name !== "") {
    const chosen = algorithms[name.toUpperCase()];
    if (chosen === undefined) throw refuse(501, `use ${Object.keys(algorithms).join(", ")}`);
    state.hash = chosen;
  }
  return reply(200, nameOf(state.hash));
};

/** For FEAT: the chosen one is marked. */
export const hashFeature = (state: State): string =>
  `HASH ${
    Object.entries(algorithms).map(([name, value]) => value === state.hash ? `${name}*` : name)
      .join(";")
  }`;
