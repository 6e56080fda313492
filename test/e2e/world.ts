import assert from "node:assert/strict";
import { makeKey, publicKey, type Target } from "./clients.ts";
import { scratch } from "./files.ts";
import { addUsers, Server, type ServerOptions } from "./server.ts";

type UserSpec = Readonly<Record<string, unknown>> & { readonly username: string };

/** A running server, users who can log in to it with one key, and a folder for the client's side. */
export interface World extends AsyncDisposable {
  readonly server: Server;
  /** The client's folder. */
  readonly dir: string;
  /** The private key that every user has, unless it brought `public_keys` of its own. */
  readonly key: string;
  /** A user's home on the server's disk. */
  readonly home: (username: string) => string;
  readonly target: (username: string) => Target & { readonly key: string };
}

/** Starts a server that knows `users`. */
export const makeWorld = async (
  users: ReadonlyArray<UserSpec>,
  options: ServerOptions = {},
): Promise<World> => {
  await using stack = new AsyncDisposableStack();
  const { dir } = stack.use(await scratch());
  const key = await makeKey(dir, "key");
  const line = await publicKey(key);
  const before = async (dataDir: string) => {
    await addUsers(dataDir, users.map((u) => ({ public_keys: [line], ...u })));
    for (const { username } of users) {
      await Deno.mkdir(`${dataDir}/users/${username}`, { recursive: true });
    }
    await options.before?.(dataDir);
  };
  const server = stack.use(await Server.start({ ...options, before }));
  const owned = stack.move();
  return {
    server,
    dir,
    key,
    home: (username) => `${server.dataDir}/users/${username}`,
    target: (user) => ({ port: server.port, user, key }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
};

/** Starts one server for all tests of the calling file, and checks in the end that it stops well. */
export const fileWorld = (
  users: ReadonlyArray<UserSpec>,
  options: ServerOptions = {},
): () => World => {
  let world: World | undefined;
  Deno.test.beforeAll(async () => {
    world = await makeWorld(users, options);
  });
  Deno.test.afterAll(async () => {
    await world?.[Symbol.asyncDispose]();
  });
  return () => {
    assert.ok(world, "the server is running");
    return world;
  };
};
