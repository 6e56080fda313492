import * as fs from "node:fs";
import type { Unsettled } from "../../src/events/intent_log.ts";
import { decode, encode, type Line } from "./record.ts";

interface Found extends Line {
  readonly entry: Unsettled;
}

/** A log file of a process or part that is gone. It is removed when nothing in it is open. */
interface File {
  readonly path: string;
  readonly run: number;
  end: number;
  readonly open: Map<string, Found>;
}

/** What others left in the folder: read once, and resolved one by one. */
export class Left {
  readonly #files = new Map<string, File>();

  constructor(private readonly dir: string) {}

  /** Reads files that were not read before and that `mine` says are to be read; answers all that is open, oldest first. */
  read(mine: (name: string) => boolean): ReadonlyArray<Unsettled> {
    const names = fs.existsSync(this.dir) ? fs.readdirSync(this.dir).filter(mine) : [];
    const fresh = names.filter((name) => !this.#files.has(name));
    const cancelled = new Set<string>();
    const done = new Set<string>();
    for (const name of fresh) {
      const path = `${this.dir}/${name}`;
      const { lines, end } = decode(fs.readFileSync(path));
      const open = new Map<string, Found>();
      for (const line of lines) {
        const { entry, content } = line;
        if (entry) open.set(entry.id, { ...line, entry: content ? { ...entry, content } : entry });
        if (line.cancelled !== undefined) cancelled.add(line.cancelled);
        if (line.done !== undefined) done.add(line.done);
      }
      this.#files.set(name, { path, run: lines[0]?.run ?? 0, end, open });
    }
    for (const name of fresh) {
      const file = this.#files.get(name);
      if (!file) continue;
      // What became of an intent may be in a later file.
      for (const id of cancelled) file.open.delete(id);
      for (const [id, found] of file.open) {
        if (done.has(id)) file.open.set(id, { ...found, entry: { ...found.entry, done: true } });
      }
      this.#dropIfDone(name, file);
    }
    return names.flatMap((name) => [...this.#files.get(name)?.open.values() ?? []])
      .sort((a, b) => a.at - b.at || a.n - b.n).map(({ entry }) => entry);
  }

  /** Whether `id` is among what was read. */
  resolve(id: string, how: "settled" | "cancelled"): boolean {
    for (const [name, file] of this.#files) {
      if (!file.open.has(id)) continue;
      file.open.delete(id);
      // Noted, since looking at the storage again might show something else by then.
      if (how === "cancelled" && file.open.size > 0) this.#note(file, id);
      this.#dropIfDone(name, file);
      return true;
    }
    return false;
  }

  #note(file: File, id: string): void {
    const line = encode({ run: file.run, at: Date.now(), n: 0, cancelled: id });
    const fd = fs.openSync(file.path, "r+");
    try {
      fs.writeSync(fd, line, 0, line.length, file.end);
      file.end += line.length;
    } finally {
      fs.closeSync(fd);
    }
  }

  #dropIfDone(name: string, file: File): void {
    if (file.open.size > 0) return;
    fs.rmSync(file.path, { force: true });
    this.#files.delete(name);
  }
}
