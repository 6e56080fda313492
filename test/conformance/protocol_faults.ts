import type { Faults } from "./protocol_table.ts";

/** What is known to be wrong, by `operation / protocol`. A cell here that passes fails the test: take it out. */
export const faults: Faults = {};
