import { isAlive, type Participant, serverTag } from "../participant.ts";

const prefix = ".sluice-upload.";
/** What every such name begins with. */
export const stagedMark = prefix;
/** Names of earlier versions have 16 digits. */
const pattern = /^\.sluice-upload\.[0-9a-f]{16}(?:[0-9a-f]{8})?\./;
/**
 * Directory in which a storage keeps unfinished uploads, below its root. Its
 * name is a staged one, so no client sees it; what is in it is no orphan.
 */
export const keptDirectory = `${prefix}0000000000000000.kept`;
/** Key of the object of an unfinished upload. */
export const keptKey = (id: string): string => `/${keptDirectory}/${id}`;
export const isKeptKey = (key: string): boolean => key.startsWith(`/${keptDirectory}/`);

const encoder = new TextEncoder();
const decoder = new TextDecoder();

const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, "0");

/** Whose names this thread gives: `tag` is the server's, `life` the thread's. */
let maker = hex(Math.random() * 2 ** 32) + hex(0);
let memory: (typeof Participant.Service)["memory"] | undefined;
let made = Math.floor(Math.random() * 2 ** 32);

/** Makes the names of this thread tell whose they are. Once, before the first upload. */
export const stageAs = (participant: typeof Participant.Service): void => {
  memory = participant.memory;
  maker = hex(serverTag(memory)) + hex(participant.life);
};

/** Whether a name is one that storages give to uploads in progress; clients never see or use those. */
export const isStagedName = (name: string): boolean => pattern.test(name);

/** Whether this run of the server gave the name, in whatever thread. */
export const isStagedByUs = (name: string): boolean =>
  name.slice(prefix.length, prefix.length + 8) === maker.slice(0, 8);

/** Whether another thread of this server, which lives, gave the name: only that thread knows what it is worth. */
export const isStagedElsewhere = (name: string): boolean => {
  const its = name.slice(prefix.length, prefix.length + 16);
  if (!memory || its === maker || its.slice(0, 8) !== maker.slice(0, 8)) return false;
  return isAlive(memory, parseInt(its.slice(8), 16));
};

/**
 * Makes the name of a temporary object beside `name`: `.sluice-upload.<24 digits>.<name>`,
 * the name cut so that the whole fits `NAME_MAX` (255 bytes). The digits tell
 * the run of the server, the thread, and one name from another.
 */
export const stagedName = (name: string): string => {
  const head = `${prefix}${maker}${hex(made++)}.`;
  const bytes = encoder.encode(name);
  const room = 255 - head.length;
  if (bytes.length <= room) return head + name;
  let end = room;
  // Step back to a character's first byte: a name cut inside one would not survive decoding.
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return head + decoder.decode(bytes.subarray(0, end));
};
