import { openCLibrary } from "../../../src/c_library.ts";

let known: string | undefined;

/**
 * Tells one start of the machine from another; empty where the system does not
 * say. Read by the C library: Deno gives files of /proc only to programs that
 * may do everything.
 */
export const boot = (): string => {
  if (known !== undefined) return known;
  try {
    return known = read();
  } catch {
    // No library of this system, or the server may not call it.
    return known = "";
  }
};

const read = (): string => {
  const libc = openCLibrary({
    open: { parameters: ["buffer", "i32"], result: "i32" },
    read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
    close: { parameters: ["i32"], result: "i32" },
  });
  try {
    const path = new TextEncoder().encode("/proc/sys/kernel/random/boot_id\0");
    const fd = libc.symbols.open(path, 0);
    if (fd < 0) return "";
    const into = new Uint8Array(64);
    const n = Number(libc.symbols.read(fd, into, 64n));
    libc.symbols.close(fd);
    return n > 0 ? new TextDecoder().decode(into.subarray(0, n)).trim() : "";
  } finally {
    libc.close();
  }
};
