import { dismiss, type Participant } from "../participant.ts";
import { dismissTurns } from "../storage/turns.ts";
import type { AccountBook } from "./account_book.ts";
import { InPlace } from "./in_place.ts";
import { LatePaths } from "./late_paths.ts";
import { PathLocks } from "./locks.ts";
import { Presence } from "./presence.ts";

/**
 * Frees all that a thread held in shared memory, which is gone: what its uploads
 * held of quotas, files it wrote in place, locked paths, its place. To be
 * called after its log was recovered, because locked paths are those whose state
 * is not known. Answers the users whose usage has to be read again.
 */
export const dismissFrom =
  (hub: typeof Participant.Service, book: typeof AccountBook.Service) =>
  ({ index, life }: typeof Participant.Service): ReadonlyArray<string> => {
    const doubtful = book.dismiss(index, life);
    dismissTurns(hub.memory, index, life);
    new InPlace(hub).dismiss(index, life);
    new Presence(hub).dismiss(index);
    new LatePaths(hub).dismiss(index, life);
    new PathLocks(hub).releaseAll(life);
    dismiss(hub.memory, index);
    return doubtful;
  };
