import { createHash } from "node:crypto";

/** Writes a file that no compressor shrinks: a random MiB, numbered, again and again. */
export const makeFile = async (path: string, bytes: number): Promise<void> => {
  using file = await Deno.open(path, { write: true, create: true, truncate: true });
  const block = new Uint8Array(Math.min(1024 ** 2, bytes));
  for (let at = 0; at < block.length; at += 65_536) {
    crypto.getRandomValues(block.subarray(at, at + 65_536));
  }
  const number = new DataView(block.buffer);
  for (let at = 0; at < bytes; at += block.length) {
    number.setFloat64(0, at);
    let part = block.subarray(0, Math.min(block.length, bytes - at));
    while (part.length > 0) part = part.subarray(await file.write(part));
  }
};

/**
 * Takes and gives back so much memory. A virtual machine may get its memory from the
 * host when it is first used: 1 GiB of a file then took 2.2 s of the kernel's time in
 * place of 0.2 [measured]. So nobody's turn pays for that, or profits from the one before.
 */
export const touchMemory = async (dir: string, mib: number): Promise<void> => {
  const path = `${dir}/touched`;
  await makeFile(path, mib * 1024 ** 2);
  await discard(path);
};

/** SHA-256 of a file, hex. */
export const sha256 = async (path: string): Promise<string> => {
  const hash = createHash("sha256");
  using file = await Deno.open(path);
  const block = new Uint8Array(1024 ** 2);
  for (let n = await file.read(block); n !== null; n = await file.read(block)) {
    hash.update(block.subarray(0, n));
  }
  return hash.digest("hex");
};

/** Fails unless two files are equal. */
export const sameContent = async (want: string, got: string): Promise<void> => {
  if (await sha256(want) !== await sha256(got)) throw new Error(`${got} differs from ${want}`);
};

/** Removes files and folders that may be there. */
export const discard = async (...paths: string[]): Promise<void> => {
  for (const path of paths) await Deno.remove(path, { recursive: true }).catch(() => {});
};
