import assert from "node:assert/strict";
import { scp, sftp } from "./clients.ts";
import { type Ended, run } from "./process.ts";
import type { Server, ServerOptions } from "./server.ts";
import { makeWorld, type World } from "./world.ts";

/** The password of every user of a mixed world. */
export const password = "right horse";

/** A way to the same files that a client program knows. */
export type Way = "sftp" | "scp" | "ftp" | "ftps" | "dav" | "http";
export const ways: ReadonlyArray<Way> = ["sftp", "scp", "ftp", "ftps", "dav", "http"];

/** How one transfer or login went, as the client told it. */
export interface Told {
  readonly ok: boolean;
  /** All that it wrote, and its last HTTP status. */
  readonly text: string;
}

/** Who does something, and from which address of this machine. */
export interface Actor {
  readonly user: string;
  readonly password?: string;
  readonly from?: string;
}

/** A server with every protocol, and real clients for each. */
export interface Mixed extends World {
  /** Where FTP listens: clear or explicit TLS, and implicit TLS. */
  readonly ports: { readonly ftp: number; readonly ftps: number };
  readonly get: (way: Way, who: Actor, name: string, out: string) => Promise<Told>;
  readonly put: (way: Way, who: Actor, file: string, name: string) => Promise<Told>;
  /** Logs in and looks at the root. */
  readonly look: (way: Way, who: Actor) => Promise<Told>;
}

const bindings = [0, 2].map((tls_mode) => ({ address: "127.0.0.1", port: 0, tls_mode }));

/** Where FTP listens in a running server. */
export const ftpPorts = (server: Server): Mixed["ports"] => {
  const ready = server.log.find(({ event }) => event === "ready");
  const { ftp: addresses } = ready?.["listeners"] as { ftp: ReadonlyArray<string> };
  const [ftp = 0, ftps = 0] = addresses.map((address) => Number(address.split(":").at(-1)));
  return { ftp, ftps };
};

/** Options of a server that speaks every protocol. */
export const mixedOptions = (options: ServerOptions = {}): ServerOptions => ({
  ...options,
  args: ["--http", "127.0.0.1:0", ...(options.args ?? [])],
  config: { ftpd: { bindings }, ...options.config },
});

const curl = async (who: Actor, ...args: string[]): Promise<Told> => {
  const { code, stdout, stderr } = await run("curl", [
    ...["-sSv", "-k", "--fail", "--max-time", "120", "-w", "\nstatus %{http_code}\n"],
    ...(who.user === "" ? [] : ["-u", `${who.user}:${who.password ?? password}`]),
    ...(who.from === undefined ? [] : ["--interface", who.from]),
    ...args,
  ], { timeout: 130 });
  return { ok: code === 0, text: stdout + stderr };
};

/** The HTTP file API: a token first, and with it one request. */
const api = async (server: Server, who: Actor, route: string, ...args: string[]): Promise<Told> => {
  const base = `${server.http}/api/v2/user`;
  const first = await curl(who, `${base}/token`);
  const token = /"access_token":"([^"]+)"/.exec(first.text)?.[1];
  if (!first.ok || token === undefined || route === "token") return first;
  const { user: _, ...nobody } = who;
  return await curl(
    { ...nobody, user: "" },
    ...["-H", `Authorization: Bearer ${token}`, ...args, `${base}/${route}`],
  );
};

const told = ({ code, stdout, stderr }: Ended): Told => ({
  ok: code === 0,
  text: stdout + stderr,
});

/** What one client does over each way, against a server. */
export const clientsOf = (server: Server): Omit<Mixed, keyof World> => {
  const ports = ftpPorts(server);
  const url = (way: Way, name: string) =>
    way === "dav"
      ? `${server.http}/dav/${name}`
      : way === "ftp"
      ? `ftp://127.0.0.1:${ports.ftp}/${name}`
      : `ftps://127.0.0.1:${ports.ftps}/${name}`;
  const target = (who: Actor) => ({
    port: server.port,
    user: who.user,
    password: who.password ?? password,
  });
  const bind = (who: Actor) => who.from === undefined ? [] : ["-o", `BindAddress=${who.from}`];
  const once = ["-o", "NumberOfPasswordPrompts=1"];
  const put: Mixed["put"] = async (way, who, file, name) =>
    way === "sftp"
      ? told(await sftp(target(who), `put ${file} ${name}`, bind(who)))
      : way === "scp"
      ? told(await scp(target(who), ["-O", ...bind(who), file, `REMOTE:${name}`]))
      : way === "http"
      ? await api(server, who, `files/upload?path=${name}`, "-T", file)
      : await curl(who, "-T", file, url(way, name));
  return {
    ports,
    get: async (way, who, name, out) =>
      way === "sftp"
        ? told(await sftp(target(who), `get ${name} ${out}`, bind(who)))
        : way === "scp"
        ? told(await scp(target(who), ["-O", ...bind(who), `REMOTE:${name}`, out]))
        : way === "http"
        ? await api(server, who, `files?path=${name}`, "-o", out)
        : await curl(who, "-o", out, url(way, name)),
    put,
    look: async (way, who) =>
      way === "sftp" || way === "scp"
        ? told(await sftp(target(who), "ls", [...bind(who), ...once]))
        : way === "http"
        ? await api(server, who, "token")
        : way === "dav"
        ? await curl(who, "-X", "PROPFIND", "-H", "Depth: 0", url(way, ""))
        : await curl(who, url(way, "")),
  };
};

/** Starts such a server with `users`, all of whom have the one password. */
export const mixedWorld = async (
  users: ReadonlyArray<Readonly<Record<string, unknown>> & { readonly username: string }>,
  options: ServerOptions = {},
): Promise<Mixed> => {
  const world = await makeWorld(
    users.map((user) => ({ password, ...user })),
    mixedOptions(options),
  );
  return { ...world, ...clientsOf(world.server) };
};

/** Asserts that what a client told speaks of `pattern`, and shows all of it if not. */
export const says = (what: Told, pattern: RegExp, context: string): void =>
  assert.match(what.text, pattern, `${context}: ${what.text.slice(-2000)}`);
