import { exec, type Maker, type Served, type SluiceOptions } from "./servers.ts";

/** The words of a task of deno.json, after the program. */
const taskArgs = async (root: string, name: string): Promise<string[]> => {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${root}/deno.json`));
  const task = tasks[name];
  return String(typeof task === "string" ? task : task.command).split(/\s+/).slice(1);
};

const within = (root: string, args: ReadonlyArray<string>) => ({
  args: [...args],
  cwd: root,
  stdin: "null" as const,
  env: { NO_COLOR: "1" },
});

const addMany = new URL("../../test/e2e/add_many.ts", import.meta.url).pathname;

/** Caps that only stand in the way of a client who is a thousand at once, and FTP in the clear. */
const config = (web: boolean) => ({
  common: { max_per_host_connections: 0 },
  sftpd: { max_startups: 2000 },
  ...(web ? { ftpd: { bindings: [{ address: "127.0.0.1", port: 0, tls_mode: 0 }] } } : {}),
});

const password = "bench of a password";

/** What curl says to each protocol. The HTTP API goes by a token, which lives for twenty minutes. */
const places = async (
  listeners: Readonly<Record<string, ReadonlyArray<string>>>,
): Promise<NonNullable<Served["places"]>> => {
  const user = `bench:${password}`;
  const ftp = { url: `ftp://${listeners["ftp"]?.[0]}/`, args: ["--user", user] };
  const http = `http://${listeners["http"]?.[0]}`;
  const basic = { authorization: `Basic ${btoa(user)}` };
  const answer = await fetch(`${http}/api/v2/user/token`, { headers: basic });
  const text = await answer.text();
  const api = `${http}/api/v2/user/files`;
  const bearer = [
    "--header",
    `Authorization: Bearer ${answer.ok && JSON.parse(text).access_token}`,
  ];
  return {
    ftp,
    ftps: { ...ftp, args: [...ftp.args, "--ssl-reqd", "--insecure"] },
    webdav: { url: `${http}/dav/`, args: ["--user", user] },
    ...(answer.ok && {
      http: {
        url: api,
        args: bearer,
        download: (name) => `${api}?path=${encodeURIComponent(name)}`,
        upload: (name) => `${api}/upload?path=${encodeURIComponent(name)}`,
      },
    }),
  };
};

/** This server, started by the `start` task of the deno.json of a checkout. */
export const sluice = async ({ name, root, workers }: SluiceOptions): Promise<Maker> => {
  const commit = await exec("git", "-C", root, "describe", "--always", "--dirty").catch(() => "?");
  // An older checkout may serve SSH alone.
  const web = await Deno.stat(`${root}/adapters/ftp`).then(() => true, () => false);
  const serve = async (data: string) => {
    const flags = ["--data-dir", data, "--json-ready", "--sftp", "127.0.0.1:0"];
    const more = [
      ...(web ? ["--http", "127.0.0.1:0"] : []),
      "--telemetry",
      "off",
      ...(workers === undefined ? [] : ["--workers", `${workers}`]),
    ];
    const words = [...await taskArgs(root, "start"), ...flags, ...more];
    const began = performance.now();
    const child = new Deno.Command(Deno.execPath(), {
      ...within(root, words),
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    // The log matters when the start fails; later only that nobody lets the pipe fill up.
    let log = "";
    const logged = (async () => {
      for await (const line of child.stderr.pipeThrough(new TextDecoderStream())) {
        log = (log + line).slice(-4000);
      }
    })();
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let line = "";
    while (!line.includes("\n")) {
      const { done, value } = await reader.read();
      if (done) {
        await logged;
        throw new Error(`${name} did not start:\n${log}`);
      }
      line += value;
    }
    const seconds = (performance.now() - began) / 1000;
    const { listeners } = JSON.parse(line);
    const port = Number(String(listeners.sftp[0]).split(":").at(-1));
    const stop = async () => {
      child.kill("SIGTERM");
      await reader.cancel();
      await child.status;
      await logged;
    };
    return { port, listeners, pid: child.pid, seconds, stop };
  };
  const start = async (dir: string, key: string): Promise<Served> => {
    const data = `${dir}/${name.replaceAll("/", "_")}`;
    const home = `${data}/users/bench`;
    if (!(await Deno.stat(data).catch(() => undefined))) {
      await Deno.mkdir(data);
      await Deno.writeTextFile(`${data}/sluice.json`, JSON.stringify(config(web)));
      const words = await taskArgs(root, "sluice");
      const add = ["user", "add", "bench", "--public-key", `${key}.pub`, "--data-dir", data];
      const child = new Deno.Command(Deno.execPath(), {
        ...within(root, [...words, ...add, "--password-stdin"]),
        stdin: "piped",
        stdout: "null",
        stderr: "piped",
      }).spawn();
      const input = child.stdin.getWriter();
      await input.write(new TextEncoder().encode(password));
      await input.close();
      const added = await child.output();
      if (added.code !== 0) throw new Error(`user add: ${new TextDecoder().decode(added.stderr)}`);
      await Deno.mkdir(home, { recursive: true });
    }
    const server = await serve(data);
    const { port, listeners } = server;
    const startOn = async (dir: string) => {
      const other = await serve(dir);
      await other.stop();
      return other.seconds;
    };
    const fill = async (dir: string, users: number) => {
      await Deno.mkdir(dir);
      const line = (await Deno.readTextFile(`${key}.pub`)).trim();
      await exec(Deno.execPath(), "run", "-A", addMany, dir, `${users}`, line);
    };
    return {
      name,
      port,
      pid: server.pid,
      user: "bench",
      key,
      home,
      prefix: "",
      scp: true,
      ...(web ? { places: await places(listeners) } : {}),
      fill,
      startOn,
      [Symbol.asyncDispose]: server.stop,
    };
  };
  return { name, version: `commit ${commit}`, start };
};
