import { openCLibrary } from "./c_library.ts";
import { descriptors, fcntlSymbol } from "./descriptors.ts";

/** The two ends of a connection, addresses as text without brackets. */
export interface Ends {
  readonly local: Deno.NetAddr;
  readonly remote: Deno.NetAddr;
}

const SHUT_RDWR = 2;

const libraryOf = () => {
  try {
    return openCLibrary({
      fcntl: fcntlSymbol,
      getpeername: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
      getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
      shutdown: { parameters: ["i32", "i32"], result: "i32" },
    }).symbols;
  } catch {
    return undefined;
  }
};

/**
 * Makes what ends a connection that the runtime holds on to: `close` of a TLS
 * connection in mid-handshake leaves it open [measured on Deno 2.9.6]. Its
 * descriptor is found by its ends, since the runtime does not tell it.
 *
 * To be made before it is needed: Deno panics when a library is opened without
 * a descriptor left. Does nothing where the C library may not be called.
 */
export const makeHangUp = (): (ends: Ends) => void => {
  const library = libraryOf();
  if (!library) return () => {};
  const { fcntl, getpeername, getsockname, shutdown } = library;
  const name = new Uint8Array(128);
  const length = new Uint32Array(1);
  const is = (ask: typeof getpeername, fd: number, end: Deno.NetAddr): boolean => {
    length[0] = name.length;
    return ask(fd, name, length) === 0 && portOf(name) === end.port && same(name, end.hostname);
  };
  return ({ local, remote }) => {
    for (const fd of descriptors(fcntl)) {
      if (!is(getpeername, fd, remote) || !is(getsockname, fd, local)) continue;
      shutdown(fd, SHUT_RDWR);
      return;
    }
  };
};

const portOf = (name: Uint8Array): number => (name[2] ?? 0) * 256 + (name[3] ?? 0);

/** Whether a `sockaddr` of either family has this address; one of IPv4 may be mapped. */
const same = (name: Uint8Array, hostname: string): boolean => {
  const family = Deno.build.os === "linux" ? name[0] : name[1];
  const plain = hostname.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "");
  if (family === 2) return name.subarray(4, 8).join(".") === plain;
  const bytes = name.subarray(8, 24);
  const mapped = bytes.subarray(0, 10).every((b) => b === 0) && bytes[10] === 255 &&
    bytes[11] === 255;
  if (mapped) return bytes.subarray(12).join(".") === plain;
  return plain.includes(":") && written(hex(bytes)) === written(plain);
};

const hex = (bytes: Uint8Array): string =>
  Array.from(
    { length: 8 },
    (_, i) => ((bytes[2 * i] ?? 0) * 256 + (bytes[2 * i + 1] ?? 0)).toString(16),
  ).join(":");

/** One spelling for all of one IPv6 address. */
const written = (address: string): string => new URL(`http://[${address}]`).hostname;
