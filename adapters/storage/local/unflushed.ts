import * as fs from "node:fs";
import { dirOf } from "./confine.ts";
import { closeQuietly, openToRead, openToWrite } from "./disk.ts";
import { codeOf } from "./errors.ts";
import { type Info, peekOpen } from "./info.ts";
import { readWhole, syncDirectory, syncFile } from "./io.ts";
import { Volume } from "./volume.ts";

/** Files of this thread that are kept open until they are flushed; others are opened again. */
const most = 256;
let open = 0;

/** A published file, small, whose content and name are not on the disk yet. */
export class UnflushedFile {
  readonly place: string;
  readonly #ino: number;
  readonly #size: number;
  #fd: number | undefined;
  #failed = false;
  #flushing: Promise<void> | undefined;

  readonly volume: Volume | undefined;
  readonly #before: number;

  constructor(fd: number, { ino, dev, size }: Info, readonly path: string) {
    this.place = dirOf(path);
    this.#ino = ino;
    this.#size = size;
    this.volume = Volume.of(dev, this.place);
    this.#before = this.volume?.failures ?? 0;
    if (open >= most) closeQuietly(fd);
    else {
      open++;
      this.#fd = fd;
    }
  }

  /** Flushes the content, once, whoever asks. */
  content(): Promise<void> {
    return this.#flushing ??= this.#flush().catch((cause) => {
      this.#flushing = undefined;
      this.#failed = true;
      throw cause;
    });
  }

  async #flush(): Promise<void> {
    const fd = this.#fd ?? this.#open();
    if (fd === undefined) return;
    try {
      if (this.#again) writeAgain(fd, this.#size);
      await syncFile(fd, this.path);
    } finally {
      if (fd !== this.#fd) closeQuietly(fd);
    }
    this.close();
  }

  async names(): Promise<void> {
    try {
      await syncDirectory(this.place);
    } catch (cause) {
      // Removed since, or replaced: the name is gone with it.
      if (!gone.has(codeOf(cause) ?? "")) throw cause;
    }
  }

  over(): void {
    this.close();
  }

  get #again(): boolean {
    return this.#failed || (this.volume?.failures ?? 0) !== this.#before;
  }

  close(): void {
    if (this.#fd === undefined) return;
    closeQuietly(this.#fd);
    this.#fd = undefined;
    open--;
  }

  /** The file under its name; undefined if that stands for another by now: whoever moved it has flushed it. */
  #open(): number | undefined {
    let fd: number;
    try {
      fd = this.#again ? openToWrite(this.path) : openToRead(this.path);
    } catch (cause) {
      if (gone.has(codeOf(cause) ?? "")) return undefined;
      throw cause;
    }
    if (peekOpen(fd).ino === this.#ino) return fd;
    closeQuietly(fd);
    return undefined;
  }
}

const gone: ReadonlySet<string> = new Set(["ENOENT", "ENOTDIR", "ELOOP", "EISDIR", "ENXIO"]);

/**
 * After a failed flush the kernel takes what it could not write for written; what it holds is still
 * whole. `size` is what was published: whoever has made the file longer flushes that.
 */
const writeAgain = (fd: number, size: number): void => {
  const content = readWhole(fd, size);
  for (let at = 0; at < content.length;) {
    at += fs.writeSync(fd, content, at, content.length - at, at);
  }
};
