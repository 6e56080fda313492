import type { Faults } from "./protocol_table.ts";

/** What is known to be wrong, by `operation / protocol`. A cell here that passes fails the test: take it out. */
export const faults: Faults = {
  "list where it is not allowed / WebDAV":
    "PROPFIND of a directory that may not be listed answers 207 and is cut, where 403 is due",
};
