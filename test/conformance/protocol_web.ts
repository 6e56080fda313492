import { must, run } from "../e2e/process.ts";
import type { Account, Driver, Said, Verbs } from "./protocol.ts";
import { fetched, fetchedTree, said } from "./protocol_openssh.ts";
import { plantTree } from "./protocol_trees.ts";

/** One request by curl; the text is the status. */
const curl = async (...args: string[]): Promise<Said & { readonly body: string }> => {
  const ended = await run("curl", ["-sS", "--path-as-is", "-w", "\n%{http_code}", ...args]);
  const cut = ended.stdout.lastIndexOf("\n");
  const status = ended.stdout.slice(cut + 1);
  const ok = ended.code === 0 && status.startsWith("2");
  const body = ended.stdout.slice(0, cut);
  return { ok, text: `${status} ${ok ? "" : body} ${ended.stderr}`, body };
};

/** RFC 3986, with what tests need to come through as it is: `.` alone. */
const encoded = (path: string): string => path.split("/").map(encodeURIComponent).join("/");

const sizeIn = (headers: string): string => /^content-length: (\d+)/im.exec(headers)?.[1] ?? "";

const davVerbs = (account: Account): Partial<Verbs> => {
  const { dir, user, password, local } = account;
  const base = `${account.http}/dav`;
  const dav = (...args: string[]) => curl("-u", `${user}:${password}`, ...args);
  const url = (path: string) => base + encoded(path);
  const put = async (path: string, content: Parameters<Verbs["put"]>[1], ...more: string[]) =>
    await dav(...more, "-T", await local(content), url(path));
  const rclone = async (...args: string[]) => {
    const obscured = (await must("rclone", ["obscure", password])).trim();
    const remote = {
      RCLONE_CONFIG_T_TYPE: "webdav",
      RCLONE_CONFIG_T_URL: base,
      RCLONE_CONFIG_T_VENDOR: "other",
      RCLONE_CONFIG_T_USER: user,
      RCLONE_CONFIG_T_PASS: obscured,
    };
    // One after the other: it makes a directory twice when two of its threads need it.
    const calm = ["--retries", "1", "--low-level-retries", "1", "--transfers", "1"];
    return await run("rclone", [...calm, "--checkers", "1", ...args], {
      env: { ...remote, RCLONE_CONFIG: "/dev/null" },
    });
  };
  const cadaver = async (...words: string[]): Promise<Said> => {
    const { host, hostname } = new URL(account.http);
    const login = `machine ${hostname}\nlogin ${user}\npassword ${password}\n`;
    await Deno.writeTextFile(`${dir}/.netrc`, login, { mode: 0o600 });
    const line = words.map((word, i) => i === 0 ? word : `"${word.replace(/"/g, '\\"')}"`);
    const { stdout, stderr } = await run("cadaver", [`http://${host}/dav/`], {
      env: { HOME: dir },
      cwd: dir,
      stdin: `${line.join(" ")}\nquit\n`,
    });
    const text = stdout + stderr;
    return { ok: /succeeded/.test(text) && !/failed/.test(text), text };
  };
  return {
    put,
    putExactly: put,
    putDated: (path, content, mtime) => put(path, content, "-H", `X-OC-Mtime: ${mtime}`),
    putTree: async (name, tree) => {
      await plantTree(tree, `${dir}/${name}`, new Map());
      return said(
        await rclone("copy", "--create-empty-src-dirs", `${dir}/${name}`, `T:${name}`),
      );
    },
    get: async (path) => await fetched(await dav("-o", `${dir}/got`, url(path)), `${dir}/got`),
    getRest: async (path, has) => {
      const file = await local(has);
      return await fetched(await dav("-C", "-", "-o", file, url(path)), file);
    },
    getRange: async (path) =>
      await fetched(await dav("-r", "10-19", "-o", `${dir}/got`, url(path)), `${dir}/got`),
    getTree: async (path) =>
      await fetchedTree(said(await rclone("copy", `T:${path}`, `${dir}/tree`)), `${dir}/tree`),
    list: async (path) => {
      // rclone asks for each name once more where a listing is no directory's; curl sees the status.
      const answer = await dav("-X", "PROPFIND", "-H", "Depth: 1", `${url(path)}`);
      const found = [...answer.body.matchAll(/<D:href>([^<]*)<\/D:href>/g)]
        .map(([, href = ""]) => decodeURIComponent(href).replace(/\/$/, ""));
      return {
        ...answer,
        shown: found.filter((at) => at !== `/dav${path}`.replace(/\/$/, ""))
          .map((at) => unescaped(at.replace(/.*\//, ""))).sort(),
      };
    },
    stat: async (path) => {
      const answer = await dav("-I", url(path));
      return { ...answer, shown: sizeIn(answer.body) };
    },
    // cadaver takes no control character for one.
    mkdir: (path) =>
      /\p{Cc}/u.test(path) ? dav("-X", "MKCOL", url(path)) : cadaver("mkcol", path.slice(1)),
    rmdir: (path) => dav("-X", "DELETE", url(path)),
    remove: (path) => dav("-X", "DELETE", url(path)),
    rename: (from, to) => cadaver("move", from.slice(1), to.slice(1)),
    copy: (from, to) => cadaver("copy", from.slice(1), to.slice(1)),
  };
};

const unescaped = (text: string): string =>
  text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"')
    .replaceAll("&apos;", "'").replaceAll("&#39;", "'").replaceAll("&amp;", "&");

const status = (...codes: number[]): RegExp => new RegExp(`\\b(?:${codes.join("|")})\\b`);

export const davDriver: Driver = {
  protocol: "WebDAV",
  eventProtocol: "DAV",
  clients: "curl; cadaver (mkcol, move, copy); rclone (trees)",
  // RFC 4918: 409 for a parent that is missing, 405 for MKCOL and PUT onto what is there.
  words: {
    notFound: status(404),
    noParent: status(409),
    denied: status(403),
    exists: status(405),
    notEmpty: status(409),
    isDirectory: status(405, 409),
    notDirectory: status(409),
    quota: status(507),
    tooLarge: status(413),
    invalid: status(400),
    tooLong: status(400, 414),
    unsupported: status(501),
  },
  lacks: {
    resume: "a PUT of a part is refused (RFC 9110 section 14.5)",
    append: "a PUT of a part is refused (RFC 9110 section 14.5)",
    hash: "WebDAV has no checksums",
    chmod: "WebDAV has no modes",
    touch: "times come with the upload (X-OC-Mtime)",
    symlink: "WebDAV has no links",
  },
  verbs: davVerbs,
};

const httpVerbs = (account: Account): Partial<Verbs> => {
  const { dir, user, password, local } = account;
  const base = `${account.http}/api/v2/user`;
  let token: string | undefined;
  const http = async (...args: string[]) => {
    if (token === undefined) {
      const { body, text } = await curl("-u", `${user}:${password}`, `${base}/token`);
      if (!body.includes("access_token")) throw new Error(`no token: ${text}`);
      token = JSON.parse(body).access_token as string;
    }
    return await curl("-H", `Authorization: Bearer ${token}`, ...args);
  };
  const url = (route: string, query: Readonly<Record<string, string>>) =>
    `${base}/${route}?${
      Object.entries(query).map(([k, v]) => `${k}=${encodeURIComponent(v)}`).join("&")
    }`;
  const put = async (path: string, content: Parameters<Verbs["put"]>[1], ...more: string[]) =>
    await http(...more, "-T", await local(content), url("files/upload", { path }));
  return {
    put,
    putExactly: put,
    putDated: (path, content, mtime) => put(path, content, "-H", `X-SFTPGO-MTIME: ${mtime}000`),
    get: async (path) =>
      await fetched(await http("-o", `${dir}/got`, url("files", { path })), `${dir}/got`),
    getRest: async (path, has) => {
      const file = await local(has);
      return await fetched(await http("-C", "-", "-o", file, url("files", { path })), file);
    },
    getRange: async (path) => {
      const file = url("files", { path });
      return await fetched(await http("-r", "10-19", "-o", `${dir}/got`, file), `${dir}/got`);
    },
    getTree: async (path) => {
      const zip = `${dir}/tree.zip`;
      const body = ["-H", "content-type: application/json", "-d", JSON.stringify([path])];
      const answer = await http(...body, "-o", zip, url("streamzip", {}));
      if (!answer.ok) return answer;
      const script = "import sys,zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])";
      await must("python3", ["-c", script, zip, `${dir}/unzipped`]);
      return await fetchedTree(answer, `${dir}/unzipped${path}`);
    },
    list: async (path) => {
      const answer = await http(url("dirs", { path }));
      const names = answer.ok ? JSON.parse(answer.body) as { name: string }[] : [];
      return { ...answer, shown: names.map(({ name }) => name).sort() };
    },
    stat: async (path) => {
      const answer = await http("-I", url("files", { path }));
      return { ...answer, shown: sizeIn(answer.body) };
    },
    mkdir: (path) => http("-X", "POST", url("dirs", { path })),
    rmdir: (path) => http("-X", "DELETE", url("dirs", { path })),
    remove: (path) => http("-X", "DELETE", url("files", { path })),
    rename: (path, target) => http("-X", "PATCH", url("files", { path, target })),
    copy: (path, target) => http("-X", "POST", url("file-actions/copy", { path, target })),
    touch: (path, mtime) => {
      const body = JSON.stringify({ modification_time: mtime * 1000 });
      return http("-X", "PATCH", "-d", body, url("files/metadata", { path }));
    },
  };
};

export const httpDriver: Driver = {
  protocol: "HTTP",
  eventProtocol: "HTTP",
  clients: "curl",
  words: {
    notFound: status(404),
    noParent: status(404),
    denied: status(403),
    exists: status(409),
    notEmpty: status(409),
    isDirectory: status(400, 409),
    notDirectory: status(400, 409),
    quota: status(507),
    tooLarge: status(413),
    invalid: status(400),
    tooLong: status(400),
    unsupported: status(501),
  },
  lacks: {
    resume: "uploads resume by tus, which has a test of its own",
    append: "the API has no appending",
    putTree: "a form names files, not trees",
    hash: "the API has no checksums",
    chmod: "the API has no modes",
    symlink: "the API has no links",
  },
  verbs: httpVerbs,
};
