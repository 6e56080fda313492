import assert from "node:assert/strict";
import { fingerprint } from "./files.ts";
import { eventually } from "./process.ts";
import type { World } from "./world.ts";

/**
 * Runs an attempt that must leave things as they were (SECURITY section 6):
 * every file under the users' homes with its content, the descriptors, no
 * error that escaped.
 */
export const unharmed = async (world: World, attempt: () => Promise<void>): Promise<void> => {
  const { server } = world;
  const homes = `${server.dataDir}/users`;
  const files = await fingerprint(homes);
  const descriptors = server.descriptors;
  await attempt();
  assert.deepEqual(await fingerprint(homes), files, "the files are as they were");
  await eventually(
    `descriptors are back at ${descriptors}`,
    // A session that just ended may leave its sockets for a moment; the log and the database add a few.
    () => server.descriptors <= descriptors + 4,
  );
  assert.equal(server.escapedErrors, 0, server.stderr.slice(-2000));
};
