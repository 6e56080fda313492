import { plainAddress } from "../../actors/listener.ts";
import { addressAllowed } from "../../src/guard/address_lists.ts";
import { chooseHash, hashFeature } from "./commands_files.ts";
import { allFacts } from "./listing.ts";
import { refuse, type Reply, reply } from "./reply.ts";
import type { Command, State } from "./state.ts";

const passiveOptions = (state: State) => ({
  address: plainAddress(state.control.localAddress),
  peer: plainAddress(state.control.remoteAddress),
  ports: state.settings.passive_port_range,
  timeout: state.data.timeout,
});

/** What PASV tells: the address from the settings, else the one that the client came to (BEHAVIOUR FTP-06). */
const publicAddress = async (state: State): Promise<string> => {
  const { passive_host, passive_ip_overrides: overrides } = state.settings;
  const peer = plainAddress(state.control.remoteAddress);
  const found = overrides.find(({ networks }) =>
    networks.length > 0 && addressAllowed({ allowed: networks, denied: [] }, peer)
  );
  const host = found?.ip ?? passive_host;
  if (host === "") return plainAddress(state.control.localAddress);
  if (/^\d+\.\d+\.\d+\.\d+$/.test(host)) return host;
  const signal = AbortSignal.timeout(5000);
  const [resolved] = await Deno.resolveDns(host, "A", { signal }).catch(() => []);
  if (resolved === undefined) throw refuse(425, "the public address cannot be found");
  return resolved;
};

/**
 * Listens for a data connection; the port, a moment later. A client that finds the
 * answer before it waits for it may take its time: curl 7.88, Debian 12's, sleeps a
 * second before it connects. 300 small uploads took it 48 s, and so 1.2 [measured].
 */
const listen = async (state: State): Promise<number> => {
  const port = state.data.listen(passiveOptions(state));
  await new Promise<void>((resolve) => setTimeout(resolve, 1));
  return port;
};

const pasv = async (state: State): Promise<Reply> => {
  if (state.data.onlyExtended) throw refuse(503, "only EPSV after EPSV ALL");
  const address = await publicAddress(state);
  if (address.includes(":")) throw refuse(425, "use EPSV with IPv6");
  const port = await listen(state);
  const numbers = [...address.split("."), port >> 8, port & 0xff].join(",");
  return reply(227, `Entering Passive Mode (${numbers})`);
};

const epsv = async (state: State, argument: string): Promise<Reply> => {
  if (argument.toUpperCase() === "ALL") {
    state.data.onlyExtended = true;
    return reply(200, "only EPSV from now on");
  }
  const own = plainAddress(state.control.localAddress).includes(":") ? "2" : "1";
  if (argument !== "" && argument !== own) throw refuse(522, `the network protocol is (${own})`);
  const port = await listen(state);
  return reply(229, `Entering Extended Passive Mode (|||${port}|)`);
};

/** Only to the client itself, and to no port of a service (RFC 2577 section 3). */
const aim = (state: State, host: string, port: number): Reply => {
  if (!state.settings.active_transfers) throw refuse(502, "active mode is off; use PASV or EPSV");
  if (state.data.onlyExtended) throw refuse(503, "only EPSV after EPSV ALL");
  if (host !== plainAddress(state.control.remoteAddress) || !(port >= 1024 && port <= 65535)) {
    throw refuse(500, "that is not an address of yours");
  }
  state.data.aim(host, port);
  return reply(200, "the data connection will go there");
};

/** Decimal without leading zeros, to 255. */
const octet = "(0|[1-9]\\d?|1\\d\\d|2[0-4]\\d|25[0-5])";
const hostPort = new RegExp(`^${Array(6).fill(octet).join(",")}$`);
const extended = /^\|([12])\|([0-9a-fA-F.:]+)\|([1-9]\d{0,4})\|$/;

/** What 220 says. */
export const bannerOf = ({ banner }: State["settings"]): string | ReadonlyArray<string> =>
  banner === "" ? "Sluice" : banner.split(/\r?\n/);

const login: Command = {
  early: true,
  argument: "required",
  handler: async (state, argument) => {
    if (state.tlsMode !== 0 && !state.control.tls) throw refuse(530, "TLS first: AUTH TLS");
    if (state.account) throw refuse(503, "you are logged in already");
    if (state.certificateRequired && !state.certificate()) {
      throw refuse(530, "a TLS certificate of yours is required");
    }
    const certified = await state.certify(argument);
    if (certified) return certified;
    state.username = argument;
    return reply(331, "now the password");
  },
};

const password: Command = {
  early: true,
  handler: async (state, argument) => {
    if (state.tlsMode !== 0 && !state.control.tls) throw refuse(530, "TLS first: AUTH TLS");
    const { username } = state;
    if (state.account || username === undefined) throw refuse(503, "USER comes first");
    state.username = undefined;
    return await state.login(username, argument);
  },
};

const features = (state: State) => [
  "AUTH TLS",
  "AVBL",
  "CLNT",
  ...(state.settings.combine_support ? ["COMB target;source_list"] : []),
  "EPRT",
  "EPSV",
  "HOST",
  ...(state.settings.hash_support
    ? [hashFeature(state), "XCRC", "XMD5", "XSHA1", "XSHA256", "XSHA512"]
    : []),
  "MDTM",
  "MFF modify;UNIX.mode;",
  "MFMT",
  `MLST ${allFacts.map((fact) => `${fact}${state.facts.includes(fact) ? "*" : ""};`).join("")}`,
  "PBSZ",
  "PROT",
  "REST STREAM",
  "SIZE",
  "TVFS",
  "UTF8",
];

/** OPTS MLST: names that are not known are passed over (RFC 3659 section 7.9). */
const chooseFacts = (state: State, text: string): Reply => {
  const wanted = text.toLowerCase().split(";");
  state.facts = allFacts.filter((fact) => wanted.includes(fact.toLowerCase()));
  return reply(200, `MLST OPTS ${state.facts.map((fact) => `${fact};`).join("")}`.trimEnd());
};

/** Which server is meant (RFC 7151); all names are served alike. */
const host = (state: State, name: string): Reply => {
  if (state.account) throw refuse(503, "HOST comes before the login");
  if (!/^([A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])$/.test(name)) {
    throw refuse(501, "use a host name or an address in brackets");
  }
  const known = state.settings.host_names;
  const is = (other: string) => other.toLowerCase() === name.toLowerCase();
  if (known.length > 0 && !known.some(is)) throw refuse(504, "there is no such host here");
  state.username = undefined;
  return reply(220, bannerOf(state.settings));
};

const done = (text: string) => () => reply(200, text);

/** Commands on the connection itself. */
export const connectionCommands: Readonly<Record<string, Command>> = {
  USER: login,
  PASS: password,
  ACCT: { handler: () => reply(202, "not needed") },
  AUTH: {
    early: true,
    argument: "required",
    handler: (state, argument) => {
      if (!/^(TLS|TLS-C|SSL|TLS-P)$/i.test(argument)) throw refuse(504, "only AUTH TLS");
      if (state.control.tls) throw refuse(503, "TLS is on already");
      state.username = undefined;
      state.control.upgrade(state.tls, reply(234, "begin the TLS handshake"));
      return reply(0, "");
    },
  },
  PBSZ: {
    early: true,
    argument: "required",
    handler: (state, argument) => {
      if (!state.control.tls) throw refuse(503, "AUTH TLS comes first");
      if (!/^\d{1,10}$/.test(argument)) throw refuse(501, "use PBSZ 0");
      return reply(200, "PBSZ=0");
    },
  },
  PROT: {
    early: true,
    argument: "required",
    handler: (state, argument) => {
      if (!state.control.tls) throw refuse(503, "AUTH TLS comes first");
      const level = argument.toUpperCase();
      if (level !== "P" && level !== "C") throw refuse(504, "only PROT P or PROT C");
      if (level === "C" && state.tlsMode !== 0) throw refuse(534, "data must be protected");
      state.data.secured = level === "P";
      return reply(200, `PROT ${level}`);
    },
  },
  CCC: { handler: () => reply(534, "the control connection stays protected") },
  PASV: { handler: pasv },
  EPSV: { handler: epsv },
  PORT: {
    argument: "required",
    handler: (state, argument) => {
      const numbers = hostPort.exec(argument)?.slice(1).map(Number);
      if (!numbers) throw refuse(500, "use six decimal numbers");
      const [high = 0, low = 0] = numbers.slice(4);
      return aim(state, numbers.slice(0, 4).join("."), high * 256 + low);
    },
  },
  EPRT: {
    argument: "required",
    handler: (state, argument) => {
      const [, family, host = "", port] = extended.exec(argument) ?? [];
      if (port === undefined || (family === "2") !== host.includes(":")) {
        throw refuse(500, "use |1|address|port| or |2|address|port|");
      }
      return aim(state, host.toLowerCase(), Number(port));
    },
  },
  TYPE: {
    argument: "required",
    handler: (state, argument) => {
      const type = argument.toUpperCase();
      if (!/^(A( N)?|I|L 8)$/.test(type)) throw refuse(504, "only TYPE A or TYPE I");
      state.ascii = type.startsWith("A");
      return reply(200, `TYPE ${state.ascii ? "A" : "I"}`);
    },
  },
  MODE: {
    argument: "required",
    handler: (_, argument) =>
      argument.toUpperCase() === "S" ? reply(200, "MODE S") : reply(504, "only MODE S"),
  },
  STRU: {
    argument: "required",
    handler: (_, argument) =>
      argument.toUpperCase() === "F" ? reply(200, "STRU F") : reply(504, "only STRU F"),
  },
  REST: {
    argument: "required",
    restarts: true,
    handler: (state, argument) => {
      if (!/^\d{1,15}$/.test(argument)) throw refuse(501, "use a number of bytes");
      if (state.ascii && Number(argument) > 0) throw refuse(504, "REST goes with TYPE I only");
      state.restart = Number(argument);
      return reply(350, `the next transfer starts at ${state.restart}`);
    },
  },
  ABOR: { handler: () => reply(226, "nothing is under way any more") },
  ALLO: { handler: () => reply(202, "not needed") },
  NOOP: { early: true, handler: done("here") },
  SYST: { early: true, handler: () => reply(215, "UNIX Type: L8") },
  FEAT: { early: true, handler: (state) => reply(211, ["Features:", ...features(state), "End"]) },
  HOST: { early: true, argument: "required", handler: host },
  CLNT: { early: true, handler: done("welcome") },
  HELP: { early: true, handler: () => reply(214, "see RFC 959, 3659 and 4217") },
  OPTS: {
    early: true,
    argument: "required",
    handler: (state, argument) => {
      const [what = "", ...rest] = argument.split(" ");
      const value = rest.join(" ");
      switch (what.toUpperCase()) {
        case "UTF8":
          return /^(ON)?$/i.test(value) ? reply(200, "UTF8 is on") : reply(504, "UTF8 stays on");
        case "MLST":
          return chooseFacts(state, value);
        case "HASH":
          if (state.settings.hash_support) return chooseHash(state, value);
      }
      throw refuse(501, "no such option");
    },
  },
  QUIT: {
    early: true,
    handler: (state) => {
      state.reply(reply(221, "goodbye"));
      state.control.close("the client said goodbye");
      return reply(0, "");
    },
  },
};
