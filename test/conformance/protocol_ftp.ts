import { run } from "../e2e/process.ts";
import type { Account, Driver, Refusal, Said, Verbs } from "./protocol.ts";
import { fetched, fetchedTree, quoted, said } from "./protocol_openssh.ts";
import { plantTree } from "./protocol_trees.ts";

/** Code and sentence of every refusal (ARCHITECTURE section 7): 550 alone stands for many. */
const words: Readonly<Record<Refusal, RegExp>> = {
  notFound: /550 .*no such/i,
  noParent: /550 .*no such/i,
  denied: /550 .*(denied|not allowed here|not followed|reserved)/i,
  exists: /550 .*exists/i,
  notEmpty: /550 .*not empty/i,
  isDirectory: /550 .*is a directory|550 .*not a file/i,
  notDirectory: /(550|501) .*not a directory/i,
  quota: /552 .*(quota|limit)/i,
  tooLarge: /552 .*(at most|too large)/i,
  invalid: /553 .*(not allowed|undecodable)/i,
  tooLong: /553 .*(too long|longer)/i,
  unsupported: /504 /,
};

const curlVerbs = (account: Account, port: number, tls: boolean): Verbs => {
  const { dir, user, password, local } = account;
  const base = `ftp://127.0.0.1:${port}`;
  const curl = async (...args: string[]): Promise<Said & { readonly body: string }> => {
    const all = ["-sSvk", "--ftp-method", "nocwd", "-u", `${user}:${password}`];
    const ended = await run("curl", [...all, ...(tls ? ["--ssl-reqd"] : []), ...args]);
    return { ok: ended.code === 0, text: replies(ended.stderr), body: ended.stdout };
  };
  const url = (path: string) => base + path.split("/").map(encodeURIComponent).join("/");
  /** Commands as they are, one after the other. */
  const quote = (...commands: string[]) =>
    curl("-I", ...commands.flatMap((command) => ["-Q", command]), `${base}/`);
  const put = async (path: string, content: Parameters<Verbs["put"]>[1], ...more: string[]) =>
    await curl(...more, "-T", await local(content), url(path));
  return {
    put,
    putExactly: put,
    // curl has no option for it: the command follows the transfer.
    putDated: (path, content, mtime) => put(path, content, "-Q", `-MFMT ${stamp(mtime)} ${path}`),
    resume: (path, content) => put(path, content, "-C", "-"),
    append: (path, content) => put(path, content, "--append"),
    putTree: async (name, tree) => {
      await plantTree(tree, `${dir}/${name}`, new Map());
      return await lftp(account, port, tls, `mirror -R ${dir}/${name} ${quoted(`/${name}`)}`);
    },
    get: async (path) => await fetched(await curl("-o", `${dir}/got`, url(path)), `${dir}/got`),
    getRest: async (path, has) => {
      const file = await local(has);
      return await fetched(await curl("-C", "-", "-o", file, url(path)), file);
    },
    getRange: async (path) =>
      await fetched(await curl("-r", "10-19", "-o", `${dir}/got`, url(path)), `${dir}/got`),
    getTree: async (path) =>
      await fetchedTree(
        await lftp(account, port, tls, `mirror ${quoted(path)} ${dir}/tree`),
        `${dir}/tree`,
      ),
    list: async (path) => {
      const answer = await curl("-X", "MLSD", `${url(path).replace(/\/$/, "")}/`);
      const found = [...answer.body.matchAll(/^(\S*;) (.*?)\r?$/gm)];
      const names = found.filter(([, facts = ""]) => !/type=[cp]dir/i.test(facts));
      return { ...answer, shown: names.map(([, , name = ""]) => name).sort() };
    },
    stat: async (path) => {
      const answer = await curl("-I", url(path));
      return { ...answer, shown: /Content-Length: (\d+)/.exec(answer.body)?.[1] ?? "" };
    },
    hash: async (path) => {
      const answer = await quote(`XSHA1 ${path}`);
      return { ...answer, shown: /^250 .*?([0-9a-f]{40})/m.exec(answer.text)?.[1] ?? "" };
    },
    mkdir: (path) => quote(`MKD ${path}`),
    rmdir: (path) => quote(`RMD ${path}`),
    remove: (path) => quote(`DELE ${path}`),
    rename: (from, to) => quote(`RNFR ${from}`, `RNTO ${to}`),
    copy: () => Promise.reject(new Error("FTP has none")),
    chmod: (path, mode) => quote(`SITE CHMOD ${mode.toString(8)} ${path}`),
    touch: (path, mtime) => quote(`MFMT ${stamp(mtime)} ${path}`),
    symlink: (target, link) => quote(`SITE SYMLINK ${target} ${link}`),
  };
};

/** The server's side of curl's `-v`. */
const replies = (stderr: string): string =>
  stderr.split("\n").filter((line) => line.startsWith("< ")).map((line) => line.slice(2).trim())
    .join("\n");

/** `20200102030405`, as MFMT has it. */
const stamp = (mtime: number): string =>
  new Date(mtime * 1000).toISOString().replace(/\.\d+Z$/, "").replace(/\D/g, "");

const lftp = async (
  { user, password }: Account,
  port: number,
  tls: boolean,
  command: string,
): Promise<Said> =>
  said(
    await run("lftp", [
      "--norc",
      "-c",
      [
        "set net:max-retries 1; set net:timeout 20; set cmd:fail-exit yes",
        `set ssl:verify-certificate no; set ftp:ssl-force ${tls}; set ftp:ssl-allow ${tls}`,
        `open -u ${user},${password} -p ${port} ftp://127.0.0.1`,
        command,
      ].join("; "),
    ], { env: { HOME: "/nonexistent" } }),
  );

const lftpVerbs = (account: Account, port: number): Verbs => {
  const { dir, local } = account;
  const ask = (command: string) => lftp(account, port, true, command);
  return {
    ...curlVerbs(account, port, true),
    put: async (path, content) => await ask(`put ${await local(content)} -o ${quoted(path)}`),
    // lftp sends MFMT by itself.
    putDated: async (path, content, mtime) => {
      const file = await local(content);
      await Deno.utime(file, mtime, mtime);
      return await ask(`put ${file} -o ${quoted(path)}`);
    },
    resume: async (path, content) => await ask(`put -c ${await local(content)} -o ${quoted(path)}`),
    get: async (path) =>
      await fetched(await ask(`get ${quoted(path)} -o ${dir}/got`), `${dir}/got`),
    getRest: async (path, has) => {
      const file = await local(has);
      return await fetched(await ask(`get -c ${quoted(path)} -o ${file}`), file);
    },
    list: async (path) => {
      const answer = await ask(`cls -1a ${quoted(path === "/" ? path : `${path}/`)}`);
      const names = answer.text.split("\n").map((line) => line.replace(/\/$/, ""))
        .map((line) => line.replace(/.*\//, ""));
      return { ...answer, shown: names.filter((name) => !/^\.{0,2}$/.test(name)).sort() };
    },
    mkdir: (path) => ask(`mkdir ${quoted(path)}`),
    rmdir: (path) => ask(`rmdir ${quoted(path)}`),
    remove: (path) => ask(`rm ${quoted(path)}`),
    chmod: (path, mode) => ask(`chmod ${mode.toString(8)} ${quoted(path)}`),
  };
};

const lacks = { copy: "FTP has no copy" };

export const ftpDriver: Driver = {
  protocol: "FTP",
  eventProtocol: "FTP",
  clients: "curl; lftp (trees)",
  words,
  lacks,
  verbs: (account) => curlVerbs(account, account.ports.ftp, false),
};

export const ftpsDriver: Driver = {
  protocol: "FTPS",
  eventProtocol: "FTP",
  clients: "lftp; curl (append, ranges, size, hash, rename, times, links)",
  words,
  lacks,
  verbs: (account) => lftpVerbs(account, account.ports.ftps),
};
