import { createHash } from "node:crypto";
import { dirname } from "node:path";
import { noise } from "../e2e/files.ts";
import type { Changes, Content, Node, Tree } from "./protocol.ts";

/** A tree as it is compared: `dir`, `link TARGET`, or a file by size and hash. */
export type Look = ReadonlyMap<string, string>;

const seed = 7;

export const bytesOf = (content: Content): Uint8Array<ArrayBuffer> =>
  typeof content === "string"
    ? new TextEncoder().encode(content)
    : typeof content === "number"
    ? noise(content, seed)
    : noise(content.of, seed).slice(0, content.first);

/** `5 2cf24dba`: size and the beginning of the SHA-256. */
export const describe = (bytes: Uint8Array): string =>
  `${bytes.length} ${createHash("sha256").update(bytes).digest("hex").slice(0, 8)}`;

const describeNode = (node: Node): string =>
  node === null
    ? "dir"
    : typeof node === "object" && "link" in node
    ? `link ${node.link}`
    : describe(bytesOf(node));

/**
 * How a disk looks that holds `tree`, after `changes`. What is above a mount point
 * is made at login (BEHAVIOUR VF-10); the point itself is not of the home.
 */
export const lookOf = (tree: Tree, changes: Changes, mounts: ReadonlyArray<string>): Look => {
  const look = new Map<string, string>();
  const set = (key: string, node: Node) => {
    const path = key.replace(/\/$/, "");
    for (let up = dirname(path); up !== "/" && up !== "."; up = dirname(up)) look.set(up, "dir");
    look.set(path, describeNode(node));
  };
  for (const [key, node] of Object.entries(tree)) set(key, node);
  for (const [key, node] of Object.entries(changes)) {
    if (node !== false) continue;
    const gone = key.replace(/\/$/, "");
    for (const path of [...look.keys()]) {
      if (path === gone || path.startsWith(`${gone}/`)) look.delete(path);
    }
  }
  for (const [key, node] of Object.entries(changes)) if (node !== false) set(key, node);
  for (const mount of mounts) {
    set(mount, null);
    look.delete(mount);
  }
  return look;
};

/** Where a virtual path lies: in the home, or in the folder of the longest mount above it. */
export const placeOf = (
  path: string,
  home: string,
  mounts: ReadonlyMap<string, string>,
): string => {
  const mount = [...mounts.keys()].filter((m) => path === m || path.startsWith(`${m}/`))
    .sort((a, b) => b.length - a.length)[0];
  return mount === undefined ? home + path : mounts.get(mount) + path.slice(mount.length);
};

/** Writes a tree to the disk. */
export const plantTree = async (
  tree: Tree,
  home: string,
  mounts: ReadonlyMap<string, string>,
): Promise<void> => {
  for (const folder of [home, ...mounts.values()]) await Deno.mkdir(folder, { recursive: true });
  for (const [key, node] of Object.entries(tree)) {
    const place = placeOf(key.replace(/\/$/, ""), home, mounts);
    await Deno.mkdir(node === null ? place : dirname(place), { recursive: true });
    if (node === null) continue;
    if (typeof node === "object" && "link" in node) await Deno.symlink(node.link, place);
    else await Deno.writeFile(place, bytesOf(node));
  }
};

/** What is on the disk: the home, and each folder under its mount point. */
export const lookAt = async (
  home: string,
  mounts: ReadonlyMap<string, string>,
): Promise<Look> => {
  const look = new Map<string, string>();
  const walk = async (dir: string, shown: string) => {
    for await (const entry of Deno.readDir(dir)) {
      const place = `${dir}/${entry.name}`;
      const path = `${shown}/${entry.name}`;
      if (entry.isSymlink) look.set(path, `link ${await Deno.readLink(place)}`);
      else if (entry.isDirectory) {
        look.set(path, "dir");
        await walk(place, path);
      } else look.set(path, describe(await Deno.readFile(place)));
    }
  };
  await walk(home, "");
  for (const [mount, folder] of mounts) await walk(folder, mount);
  return look;
};

/** Bytes and files of what lies under `within` and under none of `without`. */
export const usageOf = (
  look: Look,
  within: string,
  without: ReadonlyArray<string>,
): { readonly bytes: number; readonly files: number } => {
  const below = (path: string, dir: string) => path.startsWith(dir === "/" ? dir : `${dir}/`);
  const counted = [...look].filter(([path, what]) =>
    /^\d+ /.test(what) && below(path, within) && !without.some((dir) => below(path, dir))
  );
  const bytes = counted.reduce((sum, [, what]) => sum + Number(what.split(" ")[0]), 0);
  return { bytes, files: counted.length };
};

export const lines = (look: Look): ReadonlyArray<string> =>
  [...look].map(([path, what]) => `${path} ${what}`).sort();
