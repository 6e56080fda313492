import { createHash } from "node:crypto";
import { rclone, scp, sftp, type Target } from "../e2e/clients.ts";
import { type Ended, run } from "../e2e/process.ts";
import type { Account, Driver, Refusal, Said } from "./protocol.ts";
import { describe, lines, lookAt, plantTree } from "./protocol_trees.ts";

const targetOf = ({ ports, user, key }: Account): Target => ({ port: ports.ssh, user, key });

/** What a program said. */
export const said = ({ code, stdout, stderr }: Ended): Said => ({
  ok: code === 0,
  text: `${stderr}\n${stdout}`,
});

/** The same, with the file that it wrote. */
export const fetched = async (answer: Said, file: string): Promise<Said> =>
  answer.ok ? { ...answer, shown: describe(await Deno.readFile(file)) } : answer;

/** The same, with the directory that it wrote. */
export const fetchedTree = async (answer: Said, dir: string): Promise<Said> =>
  answer.ok ? { ...answer, shown: lines(await lookAt(dir, new Map())) } : answer;

/** One word of sftp's and lftp's command lines. */
export const quoted = (word: string): string => `"${word.replace(/["\\]/g, "\\$&")}"`;

const failure = /: Failure|Operation failed|failure/;
const noSuchFile = /No such file|not found/i;

/** OpenSSH shows the status code alone, and version 3 has few (draft-ietf-secsh-filexfer-02 section 7). */
const sftpWords: Readonly<Record<Refusal, RegExp>> = {
  notFound: noSuchFile,
  denied: /Permission denied/i,
  noParent: noSuchFile,
  exists: failure,
  notEmpty: failure,
  // Where sftp itself sees that it is one.
  isDirectory: /: Failure|Operation failed|failure|not a regular file/,
  notDirectory: failure,
  quota: failure,
  tooLarge: failure,
  invalid: failure,
  tooLong: failure,
  unsupported: /not supported|unsupported/i,
};

export const sftpDriver: Driver = {
  protocol: "SFTP",
  eventProtocol: "SFTP",
  clients: "OpenSSH sftp; curl (put onto a directory, ranges, times); rclone (hash)",
  words: sftpWords,
  lacks: { append: "OpenSSH's client appends only what resumes a file" },
  verbs: (account) => {
    const { dir, user, password, ports, local } = account;
    const batch = async (...commands: string[]) =>
      said(await sftp(targetOf(account), commands.join("\n")));
    const curl = async (...args: string[]) =>
      said(await run("curl", ["-sSk", "-u", `${user}:${password}`, ...args]));
    const url = (path: string) => `sftp://127.0.0.1:${ports.ssh}${encodeURI(path)}`;
    const put = async (path: string, file: string, how = "put") =>
      await batch(`${how} ${quoted(file)} ${quoted(path)}`);
    return {
      put: async (path, content) => await put(path, await local(content)),
      putExactly: async (path, content) => await curl("-T", await local(content), url(path)),
      putDated: async (path, content, mtime) => {
        const file = await local(content);
        await Deno.utime(file, mtime, mtime);
        return await put(path, file, "put -p");
      },
      resume: async (path, content) => await put(path, await local(content), "reput"),
      putTree: async (name, tree) => {
        await plantTree(tree, `${dir}/${name}`, new Map());
        return await batch(`put -r ${quoted(`${dir}/${name}`)} ${quoted(`/${name}`)}`);
      },
      get: async (path) =>
        await fetched(await batch(`get ${quoted(path)} ${dir}/got`), `${dir}/got`),
      getRest: async (path, has) => {
        const file = await local(has);
        return await fetched(await batch(`reget ${quoted(path)} ${quoted(file)}`), file);
      },
      getRange: async (path) =>
        await fetched(await curl("-r", "10-19", "-o", `${dir}/got`, url(path)), `${dir}/got`),
      getTree: async (path) =>
        await fetchedTree(await batch(`get -r ${quoted(path)} ${dir}/tree`), `${dir}/tree`),
      list: async (path) => {
        const answer = await batch(`ls -1a ${quoted(path)}`);
        const names = answer.text.split("\n").filter((line) => !/^$|^sftp> /.test(line))
          .map((line) => line.replace(/\/$/, "").replace(/.*\//, ""));
        return { ...answer, shown: names.filter((name) => !/^\.{0,2}$/.test(name)).sort() };
      },
      stat: async (path) => {
        const answer = await batch(`ls -ln ${quoted(path)}`);
        return { ...answer, shown: /^-\S+ +\S+ +\S+ +\S+ +(\d+) /m.exec(answer.text)?.[1] ?? "" };
      },
      hash: async (path) => {
        const answer = said(
          await rclone(targetOf(account), ["sha1sum", `REMOTE:${path}`], {
            env: { RCLONE_CONFIG_T_SHELL_TYPE: "unix", RCLONE_CONFIG_T_SHA1SUM_COMMAND: "sha1sum" },
          }),
        );
        return { ...answer, shown: /[0-9a-f]{40}/.exec(answer.text)?.[0] ?? "" };
      },
      mkdir: (path) => batch(`mkdir ${quoted(path)}`),
      rmdir: (path) => batch(`rmdir ${quoted(path)}`),
      remove: (path) => batch(`rm ${quoted(path)}`),
      rename: (from, to) => batch(`rename ${quoted(from)} ${quoted(to)}`),
      copy: (from, to) => batch(`cp ${quoted(from)} ${quoted(to)}`),
      chmod: (path, mode) => batch(`chmod ${mode.toString(8)} ${quoted(path)}`),
      touch: (path, mtime) => {
        const date = new Date(mtime * 1000).toUTCString();
        return curl("-Q", `mtime "${date}" "${path}"`, "-o", "/dev/null", url("/"));
      },
      symlink: (target, link) => batch(`ln -s ${quoted(target)} ${quoted(link)}`),
    };
  },
};

const transfersOnly = "SCP sends and fetches files, and nothing else";

export const scpDriver: Driver = {
  protocol: "SCP",
  eventProtocol: "SCP",
  clients: "OpenSSH scp -O",
  words: {
    notFound: /No such file/i,
    noParent: /No such file/i,
    denied: /denied|not allowed|not followed|reserved/i,
    exists: /exists/i,
    notEmpty: /not empty/i,
    isDirectory: /is a directory|not a regular file/i,
    notDirectory: /not a directory/i,
    quota: /quota|limit exceeded/i,
    tooLarge: /at most|too large/i,
    invalid: /invalid|control or undecodable/i,
    tooLong: /longer than|too long/i,
    unsupported: /not supported/i,
  },
  lacks: {
    putExactly: "scp puts into a directory of that name",
    resume: "SCP has no offsets",
    append: "SCP has no offsets",
    getRest: "SCP has no offsets",
    getRange: "SCP has no offsets",
    list: transfersOnly,
    stat: transfersOnly,
    hash: transfersOnly,
    mkdir: transfersOnly,
    rmdir: transfersOnly,
    remove: transfersOnly,
    rename: transfersOnly,
    copy: transfersOnly,
    chmod: transfersOnly,
    touch: transfersOnly,
    symlink: transfersOnly,
  },
  verbs: (account) => {
    const { dir, local } = account;
    const call = async (...args: string[]) => said(await scp(targetOf(account), ["-O", ...args]));
    // The old protocol gives the remote path to a shell's grammar; scp compares the names that come to it.
    const remote = (path: string) => `REMOTE:${path.replace(/[^\p{L}\p{N}/._-]/gu, "\\$&")}`;
    return {
      put: async (path, content) => await call(await local(content), remote(path)),
      putDated: async (path, content, mtime) => {
        const file = await local(content);
        await Deno.utime(file, mtime, mtime);
        return await call("-p", file, remote(path));
      },
      putTree: async (name, tree) => {
        await plantTree(tree, `${dir}/${name}`, new Map());
        return await call("-r", `${dir}/${name}`, remote("/"));
      },
      get: async (path) => await fetched(await call(remote(path), `${dir}/got`), `${dir}/got`),
      getTree: async (path) =>
        await fetchedTree(await call("-r", remote(path), `${dir}/tree`), `${dir}/tree`),
    };
  },
};

/** SHA-1 of a text, hex. */
export const sha1 = (text: string): string => createHash("sha1").update(text).digest("hex");
