import { openCLibrary } from "../../../src/c_library.ts";

const open = () => {
  const { symbols } = openCLibrary({
    open: { parameters: ["buffer", "i32"], result: "i32" },
    close: { parameters: ["i32"], result: "i32" },
    getdents64: { parameters: ["i32", "buffer", "usize"], result: "isize" },
    statx: { parameters: ["i32", "buffer", "i32", "u32", "buffer"], result: "i32" },
    faccessat: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" },
    renameat: { parameters: ["i32", "buffer", "i32", "buffer"], result: "i32" },
    linkat: { parameters: ["i32", "buffer", "i32", "buffer", "i32"], result: "i32" },
    __errno_location: { parameters: [], result: "pointer" },
  });
  const errno = symbols.__errno_location();
  if (!errno) throw new Error("no errno");
  return { ...symbols, errno: new Int32Array(Deno.UnsafePointerView.getArrayBuffer(errno, 4)) };
};

let symbols: ReturnType<typeof open> | undefined | null;

/**
 * Calls of the C library, for what every request does: the runtime's own take
 * several times as long, above all to say that there is nothing.
 *
 * Null where the library is another one, or may not be called; then the
 * runtime's are used. `errno[0]` is this thread's, to be read at once.
 */
export const libc = (): ReturnType<typeof open> | null => {
  if (symbols !== undefined) return symbols;
  try {
    return symbols = Deno.build.os === "linux" ? open() : null;
  } catch {
    return symbols = null;
  }
};

export const ENOENT = 2;
export const AT_FDCWD = -100;
export const AT_SYMLINK_NOFOLLOW = 0x100;
/** Asks for what the process may do, not for who started it. */
export const AT_EACCESS = 0x200;
export const W_OK = 2;
export const X_OK = 1;
export const AT_EMPTY_PATH = 0x1000;
