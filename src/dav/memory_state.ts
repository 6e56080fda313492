import { Clock, Effect, Layer } from "effect";
import { isWithin, parent, type VPath } from "../vpath.ts";
import { DavState, type DeadProperty, type Lock } from "./state.ts";

/** What one user may have at a time. */
const MAX_LOCKS = 1000;
const MAX_PROPERTY_BYTES = 4 * 1024 * 1024;

interface Tree {
  readonly locks: Map<string, Lock>;
  readonly properties: Map<VPath, ReadonlyArray<DeadProperty>>;
  bytes: number;
}

const sizeOf = (list: ReadonlyArray<DeadProperty>) =>
  list.reduce((sum, p) => sum + p.ns.length + p.name.length + p.value.length, 0);
const covers = (lock: Lock, path: VPath) =>
  lock.deep ? isWithin(lock.path, path) : lock.path === path;

/** Locks and properties in memory: of one process, until it ends. Each call is one synchronous step. */
export const memoryDavState: Layer.Layer<DavState> = Layer.sync(DavState, () => {
  const trees = new Map<string, Tree>();
  const treeOf = (owner: string): Tree => {
    const there = trees.get(owner);
    if (there) return there;
    const tree: Tree = { locks: new Map(), properties: new Map(), bytes: 0 };
    trees.set(owner, tree);
    return tree;
  };
  /** The tree without locks that have expired. */
  const fresh = (owner: string, now: number): Tree => {
    const tree = treeOf(owner);
    for (const [token, lock] of tree.locks) if (lock.expires <= now) tree.locks.delete(token);
    return tree;
  };
  const put = (tree: Tree, path: VPath, list: ReadonlyArray<DeadProperty>): void => {
    tree.bytes += sizeOf(list) - sizeOf(tree.properties.get(path) ?? []);
    if (list.length === 0) tree.properties.delete(path);
    else tree.properties.set(path, list);
  };
  const forget = (tree: Tree, path: VPath): void => {
    for (const at of [...tree.properties.keys()]) if (isWithin(path, at)) put(tree, at, []);
  };
  const copyAll = (tree: Tree, from: VPath, to: VPath, deep: boolean): void => {
    for (const [at, list] of [...tree.properties]) {
      if (deep ? !isWithin(from, at) : at !== from) continue;
      if (tree.bytes + sizeOf(list) > MAX_PROPERTY_BYTES) return;
      put(tree, (to + at.slice(from.length)) as VPath, list);
    }
  };
  const endLocks = (tree: Tree, path: VPath): void => {
    for (const [token, lock] of tree.locks) if (isWithin(path, lock.path)) tree.locks.delete(token);
  };
  const step = <A>(owner: string, body: (tree: Tree, now: number) => A): Effect.Effect<A> =>
    Effect.map(Clock.currentTimeMillis, (now) => body(fresh(owner, now), now));

  return DavState.of({
    lock: (owner, wanted) =>
      step(owner, (tree, now) => {
        const by = [...tree.locks.values()].find((other) =>
          (wanted.exclusive || other.exclusive) &&
          (covers(other, wanted.path) || (wanted.deep && isWithin(wanted.path, other.path)))
        );
        if (by) return { refusal: "conflict" as const, by };
        if (tree.locks.size >= MAX_LOCKS) return { refusal: "too_many" as const };
        const token = `urn:uuid:${crypto.randomUUID()}`;
        const lock: Lock = { ...wanted, token, expires: now + wanted.seconds * 1000 };
        tree.locks.set(token, lock);
        return { lock };
      }),
    refresh: (owner, path, token, seconds) =>
      step(owner, (tree, now) => {
        const lock = tree.locks.get(token);
        if (!lock || !covers(lock, path)) return undefined;
        const again: Lock = { ...lock, seconds, expires: now + seconds * 1000 };
        tree.locks.set(token, again);
        return again;
      }),
    unlock: (owner, path, token) =>
      step(owner, (tree) => {
        const lock = tree.locks.get(token);
        return lock !== undefined && covers(lock, path) && tree.locks.delete(token);
      }),
    locks: (owner, path, below) =>
      step(
        owner,
        (tree) =>
          [...tree.locks.values()].filter((lock) =>
            covers(lock, path) || (below && isWithin(path, lock.path))
          ),
      ),
    properties: (owner, path, children) =>
      step(owner, (tree) => {
        const found = new Map<VPath, ReadonlyArray<DeadProperty>>();
        for (const [at, list] of tree.properties) {
          if (at === path || (children && at !== "/" && parent(at) === path)) found.set(at, list);
        }
        return found;
      }),
    change: (owner, path, changes) =>
      step(owner, (tree) => {
        const before = tree.properties.get(path) ?? [];
        let list = before;
        for (const { ns, name, value } of changes) {
          list = list.filter((p) => p.ns !== ns || p.name !== name);
          if (value !== undefined) list = [...list, { ns, name, value }];
        }
        if (tree.bytes + sizeOf(list) - sizeOf(before) > MAX_PROPERTY_BYTES) return false;
        put(tree, path, list);
        return true;
      }),
    removed: (owner, path) =>
      step(owner, (tree) => {
        forget(tree, path);
        endLocks(tree, path);
      }),
    copied: (owner, from, to, deep) =>
      step(owner, (tree) => {
        forget(tree, to);
        copyAll(tree, from, to, deep);
      }),
    moved: (owner, from, to) =>
      step(owner, (tree) => {
        forget(tree, to);
        copyAll(tree, from, to, true);
        forget(tree, from);
        endLocks(tree, from);
      }),
  });
});
