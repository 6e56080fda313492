import type { LoginMethod, User } from "../model/user.ts";
import type { SshMethod } from "./identity.ts";

/** What one attempt has shown, before anyone is let in. */
export type Verdict =
  | {
    /** Every credential that the method needs was right. Not yet a login. */
    readonly _tag: "Proven";
    readonly user: User;
    readonly method: LoginMethod;
    /** For the journal: fingerprint and comment of a key. */
    readonly detail?: string;
    /** Set when the stored hash should be replaced by a hash of this. */
    readonly rehash?: string;
  }
  | {
    /** The first of two steps was right. */
    readonly _tag: "Half";
    readonly user: User;
    readonly next: ReadonlyArray<SshMethod>;
  }
  | {
    readonly _tag: "Wrong";
    /** For the journal only. */
    readonly reason: string;
  };

export const wrong = (reason: string): Verdict => ({ _tag: "Wrong", reason });
