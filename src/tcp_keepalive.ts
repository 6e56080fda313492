import { openCLibrary } from "./c_library.ts";
import { descriptors, fcntlSymbol } from "./descriptors.ts";

// Of Linux: socket(7), tcp(7).
const SOL_SOCKET = 1;
const SO_KEEPALIVE = 9;
const SO_ACCEPTCONN = 30;
const IPPROTO_TCP = 6;
const TCP_KEEPIDLE = 4;
const TCP_KEEPINTVL = 5;
const TCP_KEEPCNT = 6;

/** Seconds of silence before the first probe, and between probes; unanswered probes that end a connection. */
const IDLE = 60;
const BETWEEN = 15;
const PROBES = 4;

const open = () =>
  openCLibrary({
    fcntl: fcntlSymbol,
    getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
    getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
    setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  }).symbols;

let library: ReturnType<typeof open> | undefined | null;

const system = () => {
  if (library !== undefined) return library;
  try {
    return library = Deno.build.os === "linux" ? open() : null;
  } catch {
    return library = null;
  }
};

/**
 * Has the system probe connections that come to `port` after a minute of silence;
 * its own two hours are too long. So a control connection of FTP that says nothing
 * while a long transfer runs is not forgotten by what stands between, and a client
 * whose network is gone is let go after two minutes (RFC 9293 section 3.8.4).
 *
 * Connections inherit it from the listening socket, which is found by its port:
 * Deno has no option for it. Does nothing where the C library may not be called.
 */
export const enableKeepalive = (port: number): void => {
  const c = system();
  if (!c) return;
  const name = new Uint8Array(128);
  const flag = new Int32Array(1);
  const length = new Uint32Array(1);
  const set = (fd: number, level: number, option: number, value: number) => {
    flag[0] = value;
    c.setsockopt(fd, level, option, bytesOf(flag), 4);
  };
  for (const fd of descriptors(c.fcntl)) {
    length[0] = 4;
    flag[0] = 0;
    const listens =
      c.getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, bytesOf(flag), bytesOf(length)) === 0 &&
      flag[0] === 1;
    if (!listens) continue;
    length[0] = name.length;
    if (c.getsockname(fd, name, bytesOf(length)) !== 0) continue;
    if ((name[2] ?? 0) * 256 + (name[3] ?? 0) !== port) continue;
    set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set(fd, IPPROTO_TCP, TCP_KEEPIDLE, IDLE);
    set(fd, IPPROTO_TCP, TCP_KEEPINTVL, BETWEEN);
    set(fd, IPPROTO_TCP, TCP_KEEPCNT, PROBES);
  }
};

const bytesOf = (words: Int32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>) =>
  new Uint8Array(words.buffer);
