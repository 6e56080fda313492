import type { Attributes, Entry } from "../model/entry.ts";
import { basename, isWithin, type VPath } from "../vpath.ts";

/** An upload that is not committed yet, as others may see it. */
export interface Upload {
  readonly started: number;
  /** Present where bytes go to the file itself: the size that the quota counts for it, undefined for none. */
  readonly counted?: { size: number | undefined };
  size(): number;
  /** Cuts or extends what was received (BEHAVIOUR FS-02). */
  truncate(size: number): Promise<void>;
  /** Mode and times to set when the upload is committed (BEHAVIOUR FS-01). */
  remember(attributes: Attributes): void;
}

/** Uploads in progress of all sessions, by storage and key. */
export class Uploads {
  readonly #byStorage = new Map<string, Map<string, Upload[]>>();

  /** Makes an upload visible; the answer takes it out again. */
  enter(identity: string, key: string, upload: Upload): () => void {
    const keys = this.#byStorage.get(identity) ?? new Map<string, Upload[]>();
    this.#byStorage.set(identity, keys);
    // What one writer in place has added is on the disk but not counted: the next must not count from it.
    if (upload.counted) {
      upload.counted.size = this.counted(identity, key, upload.counted.size);
    }
    keys.set(key, [...keys.get(key) ?? [], upload]);
    return () => {
      const rest = (keys.get(key) ?? []).filter((other) => other !== upload);
      if (rest.length > 0) keys.set(key, rest);
      else keys.delete(key);
      if (keys.size === 0) this.#byStorage.delete(identity);
    };
  }

  /** The latest upload to `key`. */
  latest(identity: string, key: string): Upload | undefined {
    return this.#byStorage.get(identity)?.get(key)?.at(-1);
  }

  /**
   * Size that the quota counts for `key`. While someone writes in place, that
   * is not the size on disk, `stored`: the new bytes are only held, not counted.
   */
  counted(identity: string, key: string, stored: number | undefined): number | undefined {
    const tracked = this.#byStorage.get(identity)?.get(key)?.find((u) => u.counted);
    return tracked?.counted ? tracked.counted.size : stored;
  }

  /** Tells uploads in place that the quota counts another size now; undefined when the file is gone. */
  recount(identity: string, key: string, size: number | undefined): void {
    for (const upload of this.#byStorage.get(identity)?.get(key) ?? []) {
      if (upload.counted) upload.counted.size = size;
    }
  }

  /** Whether an upload is under way strictly below the directory `key`. */
  below(identity: string, key: string): boolean {
    const keys = this.#byStorage.get(identity);
    if (!keys) return false;
    for (const at of keys.keys()) {
      if (at !== key && isWithin(key as VPath, at as VPath)) return true;
    }
    return false;
  }

  /** What stat shows: the size received so far, even before the storage shows the object (SFTP-09). */
  overlay(identity: string, key: string, stored: Entry | undefined): Entry | undefined {
    const upload = this.latest(identity, key);
    if (!upload) return stored;
    if (stored) return { ...stored, size: upload.size() };
    return {
      name: basename(key as VPath),
      kind: "file",
      size: upload.size(),
      mtime: upload.started,
      mode: 0o644,
    };
  }
}
