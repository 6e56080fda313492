import type { Faults } from "./protocol_table.ts";

const withoutFolders =
  "users of the API come without their folders: web/api/bearer.ts finds them by `find`, not by `effective`";

/** What is known to be wrong, by `operation / protocol`. A cell here that passes fails the test: take it out. */
export const faults: Faults = {
  "list where it is not allowed / WebDAV":
    "PROPFIND of a directory that may not be listed answers 207 and is cut, where 403 is due",
  "list within a virtual folder / HTTP": withoutFolders,
  "put into a virtual folder / HTTP": withoutFolders,
  "put into a virtual folder in the user's quota / HTTP": withoutFolders,
  "put over the quota of a virtual folder / HTTP": withoutFolders,
  "rename out of a virtual folder / HTTP": withoutFolders,
  "rename a tree into a virtual folder / HTTP": withoutFolders,
  "remove a mount point / HTTP": withoutFolders,
};
