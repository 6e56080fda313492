import type { Migration } from "../migrate.ts";

/** The intent that an event settled: kept with it, so that no recovery and no repetition settles it twice. */
export const settledIntents: Migration = {
  version: 3,
  name: "settled intents",
  statements: [
    `alter table events add column intent text`,
    `create unique index events_by_intent on events (intent) where intent is not null`,
  ],
};
