import { createHash } from "node:crypto";

/** A folder that goes when the scope is left. */
export const scratch = async (): Promise<{ dir: string } & AsyncDisposable> => {
  const dir = await Deno.makeTempDir({ prefix: "sluice-files-" });
  return {
    dir,
    [Symbol.asyncDispose]: async () => {
      await Deno.remove(dir, { recursive: true });
    },
  };
};

/** SHA-256 of a file, hex. */
export const sha256 = async (path: string): Promise<string> => {
  const hash = createHash("sha256");
  using file = await Deno.open(path);
  const block = new Uint8Array(1024 * 1024);
  for (let n = await file.read(block); n !== null; n = await file.read(block)) {
    hash.update(block.subarray(0, n));
  }
  return hash.digest("hex");
};

/** `bytes` that no compressor shrinks and that `seed` alone determines. */
export const noise = (bytes: number, seed = 1): Uint8Array<ArrayBuffer> => {
  const words = new Uint32Array(Math.ceil(bytes / 4));
  let state = (seed * 2654435761 + 1) >>> 0 || 1;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state >>> 0;
  }
  return new Uint8Array(words.buffer, 0, bytes);
};

/** Writes a file of `bytes`, one MiB of noise after the other, no two alike. */
export const noiseFile = async (path: string, bytes: number, seed = 1): Promise<string> => {
  using file = await Deno.open(path, { write: true, create: true, truncate: true });
  const block = noise(1024 * 1024, seed);
  const view = new DataView(block.buffer);
  for (let at = 0; at < bytes; at += block.length) {
    view.setFloat64(0, at + seed);
    let part: Uint8Array = block.subarray(0, Math.min(block.length, bytes - at));
    while (part.length > 0) part = part.subarray(await file.write(part));
  }
  return path;
};

/** Every name below `dir`, with `/` after folders, `@` after links and the SHA-256 of files: what a refused attempt must leave as it was. */
export const fingerprint = async (dir: string): Promise<ReadonlyArray<string>> => {
  const found: string[] = [];
  const walk = async (at: string, shown: string) => {
    for await (const entry of Deno.readDir(at)) {
      const path = `${at}/${entry.name}`;
      const name = `${shown}${entry.name}`;
      if (entry.isSymlink) found.push(`${name}@`);
      else if (entry.isDirectory) {
        found.push(`${name}/`);
        await walk(path, `${name}/`);
      } else found.push(`${name} ${await sha256(path)}`);
    }
  };
  await walk(dir, "");
  return found.sort();
};

/** Names that the server uses for uploads under way: none may be left behind. */
export const leftovers = async (dir: string): Promise<ReadonlyArray<string>> => {
  const found: string[] = [];
  for await (const entry of Deno.readDir(dir)) {
    const path = `${dir}/${entry.name}`;
    if (entry.name.startsWith(".sluice-")) found.push(path);
    // Gone while we look is gone.
    if (entry.isDirectory) found.push(...await leftovers(path).catch(() => []));
  }
  return found;
};
