/** Memory that is lent out for a while: what each packet would otherwise allocate, and V8 collect. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** Sizes that are kept: one packet of most clients, one of OpenSSH, which reads and writes 255 KiB. */
const SIZES = [34 * 1024, 258 * 1024] as const;
/** Bytes of each size that wait for the next borrower. */
const KEPT = 4 * 1024 * 1024;

const spare = new Map<number, ArrayBuffer[]>(SIZES.map((size) => [size, []]));
const lent = new WeakSet<ArrayBufferLike>();

/**
 * Lends `length` bytes, not cleared. Below 2 KiB, and above 258 KiB, it is memory
 * of its own. What is never given back is simply collected.
 */
export const borrow = (length: number): Bytes => {
  const size = length < 2048 ? undefined : SIZES.find((each) => length <= each);
  if (size === undefined) return new Uint8Array(length);
  const buffer = spare.get(size)?.pop() ?? new ArrayBuffer(size);
  lent.add(buffer);
  return new Uint8Array(buffer, 0, length);
};

/**
 * Takes back what {@linkcode borrow} lent, by any view of it. Nobody may look at
 * it afterwards. Other memory, and a second return, are ignored.
 */
export const giveBack = ({ buffer }: Uint8Array): void => {
  if (!lent.delete(buffer)) return;
  const kept = spare.get(buffer.byteLength);
  if (kept && kept.length * buffer.byteLength < KEPT) kept.push(buffer as ArrayBuffer);
};
