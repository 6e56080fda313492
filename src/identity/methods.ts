import type { Settings } from "../config/config.ts";
import type { LoginMethod, User } from "../model/user.ts";
import type { LoginProtocol, SshMethod } from "./identity.ts";

/** Methods of the server, whoever logs in: they tell nothing about an account. */
export const serverMethods = (settings: Settings["sftpd"]): ReadonlyArray<SshMethod> => [
  "publickey",
  ...(settings.password_authentication ? ["password"] as const : []),
  ...(settings.keyboard_interactive_authentication ? ["keyboard-interactive"] as const : []),
];

/** Whether the user's own settings refuse `method` (BEHAVIOUR AUTH-02). */
export const isDenied = (
  user: User,
  method: LoginMethod,
  protocol: LoginProtocol = "SSH",
): boolean => {
  const denied = user.filters.denied_login_methods;
  return denied.includes(method) ||
    (protocol === "SSH" && method === "password" && denied.includes("password-over-SSH"));
};

/**
 * Whether the user needs a key and then a second step: exactly when each single
 * step is denied and a combined method is not (BEHAVIOUR AUTH-03).
 */
export const needsTwoSteps = (user: User): boolean =>
  (["publickey", "password", "keyboard-interactive"] as const).every((m) => isDenied(user, m)) &&
  (["publickey+password", "publickey+keyboard-interactive"] as const).some((m) =>
    !isDenied(user, m)
  );

/** What may follow the key of a user who needs two steps. */
export const secondSteps = (
  settings: Settings["sftpd"],
  user: User,
): ReadonlyArray<SshMethod> =>
  serverMethods(settings).filter((method) =>
    method !== "publickey" && !isDenied(user, `publickey+${method}`)
  );
