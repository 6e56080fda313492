import type { Server } from "./server.ts";
import { type Connection, dial } from "./ssh2_client.ts";

export type Method = "none" | "password" | "publickey" | "keyboard-interactive";

export interface Attempt {
  readonly methods: ReadonlyArray<Method>;
  readonly password?: string;
  readonly key?: string;
  /** What to type at each prompt, by a word of it. */
  readonly answers?: (prompt: string) => string;
}

/** Whether the attempt logs in; the methods are tried in the order given, and no other. */
export const logsIn = async (server: Server, user: string, attempt: Attempt): Promise<boolean> => {
  const privateKey = attempt.key === undefined ? undefined : await Deno.readTextFile(attempt.key);
  const left = [...attempt.methods];
  const connection: Connection = await dial({ port: server.port, user }, {
    authHandler: (_left: unknown, _partial: unknown, next: (method: unknown) => void) => {
      const method = left.shift();
      if (method === undefined) return next(false);
      if (method === "password") {
        return next({ type: method, username: user, password: attempt.password });
      }
      if (method === "publickey") return next({ type: method, username: user, key: privateKey });
      if (method === "none") return next({ type: method, username: user });
      next({
        type: method,
        username: user,
        prompt: (
          _name: string,
          _instructions: string,
          _lang: string,
          prompts: ReadonlyArray<{ prompt: string }>,
          finish: (answers: ReadonlyArray<string>) => void,
        ) => finish(prompts.map((p) => attempt.answers?.(p.prompt) ?? "")),
      });
    },
  });
  await using _ = connection;
  const ready = new Promise<boolean>((resolve) =>
    connection.client.on("ready", () => resolve(true))
  );
  return await Promise.race([ready, connection.closed.then(() => false)]);
};

/** What to type where a code or a password is asked. */
export const types = (pw: string, code?: string) => (prompt: string) =>
  /code/i.test(prompt) ? code ?? "" : pw;
