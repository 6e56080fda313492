import type { Settings } from "./config/config.ts";
import type { Failpoints } from "./failpoint.ts";
import type { Participant } from "./participant.ts";

/** The first answer that a worker gets: all it has to know. Plain data and shared memory. */
export interface Greeting {
  readonly index: number;
  /** Ports in the bindings are those to take: the main thread has chosen. */
  readonly settings: Settings;
  readonly failpoints: Failpoints;
  readonly participant: typeof Participant.Service;
}

/** The name of a worker's intent log: one for each of its lives. */
export const partOf = ({ life }: typeof Participant.Service): string => `w${life}`;
