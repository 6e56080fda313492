import type { Payer } from "./quota.ts";
import type { Storage } from "../storage/storage.ts";
import { isWithin, type VPath } from "../vpath.ts";

/** A storage that shows at a virtual path. */
export interface Mount {
  readonly path: VPath;
  readonly storage: Storage;
  /** Whose quota its files count in; the user's own where absent (BEHAVIOUR VF-07). */
  readonly payer?: Payer | undefined;
  /** The folder it shows; absent for the home. Recovery finds the storage by it. */
  readonly folder?: { readonly name: string; readonly subpath: string };
}

/** Where a virtual path leads. */
export interface Spot {
  readonly path: VPath;
  readonly mount: Mount;
  readonly storage: Storage;
  /** Key inside the storage. */
  readonly key: string;
}

/** The mounts of one session; the longest prefix, by whole components, wins. */
export class Mounts {
  readonly #mounts: ReadonlyArray<Mount>;

  constructor(mounts: ReadonlyArray<Mount>) {
    this.#mounts = [...mounts].sort((a, b) => b.path.length - a.path.length);
  }

  /** There is always a mount at `/`. */
  locate(path: VPath): Spot {
    const mount = this.#mounts.find((m) => isWithin(m.path, path)) as Mount;
    const key = mount.path === "/" ? path : path.slice(mount.path.length) || "/";
    return { path, mount, storage: mount.storage, key };
  }

  /** The virtual path of a key. */
  pathOf(mount: Mount, key: string): VPath {
    if (mount.path === "/") return key as VPath;
    return (key === "/" ? mount.path : mount.path + key) as VPath;
  }

  /** Whether a storage shows exactly here; such a directory cannot be moved, made or removed. */
  isMount(path: VPath): boolean {
    return this.#mounts.some((m) => m.path === path);
  }

  /** Names directly in `dir` under which a mount lies, here or further down. */
  namesIn(dir: VPath): ReadonlyArray<string> {
    const above = dir === "/" ? "/" : `${dir}/`;
    return [
      ...new Set(
        this.#mounts.filter((m) => m.path !== dir && isWithin(dir, m.path))
          .map((m) => m.path.slice(above.length).split("/")[0] as string),
      ),
    ];
  }

  /** Whether a mount lies strictly below. */
  anyBelow(path: VPath): boolean {
    return this.#mounts.some((m) => m.path !== path && isWithin(path, m.path));
  }
}
