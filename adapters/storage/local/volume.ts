import * as fs from "node:fs";
import { openCLibrary } from "../../../src/c_library.ts";

/** File systems of which one call flushes all there is, and says so if it failed. By the number in statfs. */
const whole: ReadonlySet<number> = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // XFS
  0x9123683e, // Btrfs
]);
/** Milliseconds after which a flush was slow, because others write much there; and how many it is then spared. */
const slow = 500;
const spared = 64;

const libc = () =>
  openCLibrary({
    syncfs: { parameters: ["i32"], result: "i32", nonblocking: true },
  }).symbols;
let symbols: ReturnType<typeof libc> | undefined | null;

/** The call, where the C library has it, may be called, and the kernel tells of failures (Linux 5.8). */
const calls = () => {
  if (symbols !== undefined) return symbols;
  try {
    const [major = 0, minor = 0] = Deno.osRelease().split(".").map((part) => parseInt(part));
    const tells = major > 5 || (major === 5 && minor >= 8);
    return symbols = Deno.build.os === "linux" && tells ? libc() : null;
  } catch {
    return symbols = null;
  }
};

/** A file system, flushed as a whole: for a hundred files that takes what one of them takes alone. */
export class Volume {
  /** Flushes that failed: what was to be written then may count as written now. */
  failures = 0;
  #rest = 0;

  private constructor(readonly dev: number) {}

  static readonly #known = new Map<number, Volume | undefined>();

  /** The volume `dev` with the directory `place`; undefined where its files are to be flushed one by one. */
  static of(dev: number, place: string): Volume | undefined {
    if (Volume.#known.has(dev)) return Volume.#known.get(dev);
    let volume: Volume | undefined;
    try {
      if (calls() && whole.has(Number(fs.statfsSync(place).type))) volume = new Volume(dev);
    } catch {
      // Not to be looked at: one by one.
    }
    Volume.#known.set(dev, volume);
    return volume;
  }

  /** Flushes all of it, unless that has been slow lately; answers whether it did. `place`: a directory there. */
  async flush(place: string): Promise<boolean> {
    const call = calls();
    if (!call || this.#rest > 0) {
      this.#rest--;
      return false;
    }
    const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = fs.constants;
    const fd = fs.openSync(place, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    const began = performance.now();
    try {
      // Another may be mounted there by now.
      if (fs.fstatSync(fd).dev !== this.dev) return false;
      if (await call.syncfs(fd) === 0) return true;
      this.failures++;
      return false;
    } finally {
      fs.closeSync(fd);
      if (performance.now() - began > slow) this.#rest = spared;
    }
  }
}
