import type { VPath } from "../../src/vpath.ts";
import { refuse } from "./reply.ts";
import type { Account, State } from "./state.ts";

/** What the user who is logged in has. */
export const accountOf = (state: State): Account => {
  if (!state.account) throw refuse(530, "log in first");
  return state.account;
};

/** The path that a client named, from where it is. */
export const pathOf = (state: State, argument: string): Promise<VPath> => {
  const { vfs, cwd } = accountOf(state);
  return state.run(vfs.resolve(argument, cwd));
};

/** As 257 and others show a path (RFC 959 appendix II). */
export const quoted = (path: string): string => `"${path.replaceAll('"', '""')}"`;
