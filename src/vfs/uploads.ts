import { Context, Effect, Layer } from "effect";
import { FsError } from "../errors.ts";
import type { Attributes, Entry } from "../model/entry.ts";
import { basename, isWithin, type VPath } from "../vpath.ts";
import { InPlace } from "./in_place.ts";
import { admit, Participant, shareMemory } from "../participant.ts";
import { Presence } from "./presence.ts";

/** An upload that is not committed yet, as others may see it. */
export interface Upload {
  readonly started: number;
  /** Present where bytes go to the file itself: the size that the quota counts for it, undefined for none. */
  readonly counted?: { readonly size: number | undefined };
  size(): number;
  /** Cuts or extends what was received (BEHAVIOUR FS-02). */
  truncate(size: number): Promise<void>;
  /** Mode and times to set when the upload is committed (BEHAVIOUR FS-01). */
  remember(attributes: Attributes): void;
}

/** What other threads know of an upload. */
export interface Sighting {
  readonly started: number;
  readonly size: number;
}

/** Asks the other threads about their uploads. Only where {@linkcode Presence} says that there may be one. */
export class Elsewhere extends Context.Tag("sluice/Elsewhere")<Elsewhere, {
  readonly latest: (identity: string, key: string) => Effect.Effect<Sighting | undefined>;
  readonly below: (identity: string, key: string) => Effect.Effect<boolean>;
  /** Hands attributes to the latest upload; false when it is over. */
  readonly setAttributes: (
    identity: string,
    key: string,
    attributes: Attributes,
  ) => Effect.Effect<boolean, FsError>;
}>() {
  /** A server of one thread. */
  static readonly nowhere: Layer.Layer<Elsewhere> = Layer.succeed(Elsewhere, {
    latest: () => Effect.succeed(undefined),
    below: () => Effect.succeed(false),
    setAttributes: () => Effect.succeed(false),
  });
}

/** Uploads in progress of all sessions of this thread, by storage and key; the others' by asking. */
export class Uploads {
  readonly #byStorage = new Map<string, Map<string, Upload[]>>();
  readonly #inPlace: InPlace;
  readonly #presence: Presence;

  constructor(participant: typeof Participant.Service = admit(shareMemory(1), 0)) {
    this.#inPlace = new InPlace(participant);
    this.#presence = new Presence(participant);
  }

  /** Makes an upload visible; the answer takes it out again. Throws Busy when too many files are written in place. */
  enter(identity: string, key: string, upload: Upload): () => void {
    const name = nameOf(identity, key);
    if (upload.counted && !this.#inPlace.enter(name, upload.counted.size)) {
      throw new FsError({ reason: "Busy", op: "open", path: key, detail: "too many uploads" });
    }
    const keys = this.#byStorage.get(identity) ?? new Map<string, Upload[]>();
    this.#byStorage.set(identity, keys);
    const others = keys.get(key);
    keys.set(key, others ? [...others, upload] : [upload]);
    const vanish = this.#presence.appear(identity, key);
    return () => {
      vanish();
      if (upload.counted) this.#inPlace.leave(name);
      const rest = (keys.get(key) ?? []).filter((other) => other !== upload);
      if (rest.length > 0) keys.set(key, rest);
      else keys.delete(key);
      // Another map may have taken its place since it was found empty.
      if (keys.size === 0 && this.#byStorage.get(identity) === keys) {
        this.#byStorage.delete(identity);
      }
    };
  }

  /** The latest upload of this thread to `key`. */
  latest(identity: string, key: string): Upload | undefined {
    return this.#byStorage.get(identity)?.get(key)?.at(-1);
  }

  /** Whether another thread may have an upload to `key` or below it. Never no when there is one. */
  perhapsElsewhere(identity: string, key: string): boolean {
    return this.#presence.elsewhere(identity, key);
  }

  /**
   * Size that the quota counts for `key`. While someone writes in place, that
   * is not the size on disk, `stored`: the new bytes are only held, not counted.
   */
  counted(identity: string, key: string, stored: number | undefined): number | undefined {
    if (!this.#inPlace.any) return stored;
    const tracked = this.#inPlace.counted(nameOf(identity, key));
    return tracked ? tracked.size : stored;
  }

  /** Tells uploads in place that the quota counts another size now; undefined when the file is gone. */
  recount(identity: string, key: string, size: number | undefined): void {
    if (this.#inPlace.any) this.#inPlace.recount(nameOf(identity, key), size);
  }

  /** Whether an upload of this thread is under way strictly below the directory `key`. */
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
    return upload ? shown(key, stored, { started: upload.started, size: upload.size() }) : stored;
  }
}

/** An entry with what an upload to it has received. */
export const shown = (key: string, stored: Entry | undefined, { started, size }: Sighting): Entry =>
  stored
    ? { ...stored, size }
    : { name: basename(key as VPath), kind: "file", size, mtime: started, mode: 0o644 };

/** The uploads of this thread, for the sessions here and for what other threads ask. */
export class LiveUploads extends Context.Tag("sluice/LiveUploads")<LiveUploads, Uploads>() {
  static readonly layer: Layer.Layer<LiveUploads, never, Participant> = Layer.effect(
    LiveUploads,
    Effect.map(Participant, (participant) => new Uploads(participant)),
  );
}

const nameOf = (identity: string, key: string): string => `${identity}\0${key}`;
