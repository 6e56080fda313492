const prefix = ".sluice-upload.";
const pattern = /^\.sluice-upload\.[0-9a-f]{16}\./;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Whether a name is one that storages give to uploads in progress; clients never see or use those. */
export const isStagedName = (name: string): boolean => pattern.test(name);

/**
 * Makes the name of a temporary object beside `name`: `.sluice-upload.<random>.<name>`,
 * the name cut so that the whole fits `NAME_MAX` (255 bytes).
 */
export const stagedName = (name: string): string => {
  const random = crypto.getRandomValues(new Uint8Array(8));
  const head = `${prefix}${Array.from(random, (b) => b.toString(16).padStart(2, "0")).join("")}.`;
  const bytes = encoder.encode(name);
  const room = 255 - head.length;
  if (bytes.length <= room) return head + name;
  let end = room;
  // Step back to a character's first byte: a name cut inside one would not survive decoding.
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return head + decoder.decode(bytes.subarray(0, end));
};
