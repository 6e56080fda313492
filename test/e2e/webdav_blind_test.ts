import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { curlAs } from "./curl.ts";
import { fileWorld } from "./world.ts";

/** Users who may not look: each operation asks for its own right, and tells nothing else. */

const password = "pa:ss+wör/d";
const changes = ["delete", "rename", "copy", "create_dirs", "overwrite", "download", "upload"];
const world = fileWorld([
  { username: "blind", password, permissions: { "/": changes } },
  { username: "careful", password, permissions: { "/": ["copy", "rename"] } },
  {
    username: "copier",
    password,
    permissions: { "/": ["list", "copy", "download", "upload", "create_dirs"] },
  },
  { username: "giver", password, permissions: { "/": ["upload"] } },
  { username: "half", password, permissions: { "/": ["*"], "/in": changes } },
], { args: ["--http", "127.0.0.1:0", "--workers", "2"] });

/** Plants `tree` in a home; answers curl and a look at the disk. */
const userWith = async (user: string, tree: Readonly<Record<string, string>>) => {
  const home = world().home(user);
  for await (const { name } of Deno.readDir(home)) {
    await Deno.remove(`${home}/${name}`, { recursive: true });
  }
  for (const [path, text] of Object.entries(tree)) {
    const at = `${home}/${path}`;
    await Deno.mkdir(at.replace(/\/[^/]*$/, ""), { recursive: true });
    if (!path.endsWith("/")) await Deno.writeTextFile(at, text);
  }
  const url = `${world().server.http}/dav`;
  const curl = curlAs(user, password);
  const ask = async (method: string, path: string, ...headers: string[]) =>
    (await curl("-X", method, ...headers.flatMap((h) => ["-H", h]), `${url}/${path}`)).status;
  return {
    curl: (path: string) => curl(`${url}/${path}`),
    ask,
    send: (method: "COPY" | "MOVE", from: string, to: string, ...headers: string[]) =>
      ask(method, from, `Destination: /dav/${to}`, ...headers),
    text: (path: string) => Deno.readTextFile(`${home}/${path}`),
    has: (path: string) => existsSync(`${home}/${path}`),
    names: () => [...Deno.readDirSync(home)].map(({ name }) => name).sort(),
  };
};

Deno.test("DELETE asks for the right to delete alone", async () => {
  const { ask, has } = await userWith("blind", { "f": "1", "d/e/f": "2", "kept": "3" });
  assert.equal(await ask("DELETE", "f"), 204);
  assert.equal(await ask("DELETE", "d/"), 204);
  assert.equal(await ask("DELETE", "f"), 404);
  assert.equal(await ask("DELETE", "kept", 'If-Match: "x"'), 412);
  assert.equal(
    await ask("DELETE", "kept", "If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT"),
    412,
  );
  assert.deepEqual([has("f"), has("d"), has("kept")], [false, false, true]);
  assert.equal(await ask("PROPFIND", "", "Depth: 1"), 403);
});

Deno.test("MKCOL and GET ask for their own rights alone", async () => {
  const { ask, curl } = await userWith("blind", { "f": "hello" });
  assert.equal((await curl("f")).body, "hello");
  assert.equal((await curl("none")).status, 404);
  assert.equal((await curl("")).status, 403, "a listing is what may not be seen");
  assert.equal(await ask("MKCOL", "d"), 201);
  assert.equal(await ask("MKCOL", "d"), 405);
  assert.equal(await ask("MKCOL", "no/d"), 409);
});

Deno.test("COPY over a collection that may not be moved away is refused, and leaves nothing behind", async () => {
  const { send, text, names } = await userWith("copier", { "d/a": "new", "e/a": "old" });
  assert.equal(await send("COPY", "d/", "e/"), 403);
  assert.deepEqual([names(), await text("e/a")], [["d", "e"], "old"]);
  assert.equal(await send("COPY", "d/", "f/"), 201);
  assert.equal(await text("f/a"), "new");
});

Deno.test("COPY asks for the right to copy alone, and replaces as it does for others", async () => {
  const { send, text, has, names } = await userWith("blind", {
    "f": "new",
    "d/a": "1",
    "old": "old",
    "into/x": "gone",
    "tree/y": "gone",
    "flat": "gone",
  });
  assert.equal(await send("COPY", "f", "g"), 201);
  assert.equal(await text("g"), "new");
  assert.equal(await send("COPY", "d", "e"), 201);
  assert.equal(await text("e/a"), "1");
  assert.equal(await send("COPY", "f", "old", "Overwrite: F"), 412);
  assert.equal(await send("COPY", "d", "tree", "Overwrite: F"), 412);
  assert.deepEqual([await text("old"), await text("tree/y")], ["old", "gone"]);
  assert.equal(await send("COPY", "f", "old"), 201);
  assert.equal(await text("old"), "new");
  // A collection is replaced, and nothing is put into it.
  assert.equal(await send("COPY", "f", "into"), 201);
  assert.equal(await text("into"), "new");
  assert.equal(await send("COPY", "d", "tree"), 201);
  assert.deepEqual([await text("tree/a"), has("tree/y")], ["1", false]);
  assert.equal(await send("COPY", "d", "flat"), 201);
  assert.equal(await text("flat/a"), "1");
  assert.equal(await send("COPY", "none", "h"), 404);
  assert.equal(await send("COPY", "f", "no/f"), 409);
  assert.equal(await send("COPY", "d", "h", "Depth: 0"), 400, "what it is may not be told");
  assert.deepEqual(names(), ["d", "e", "f", "flat", "g", "into", "old", "tree"]);
});

Deno.test("MOVE asks for the right to rename alone, and replaces as it does for others", async () => {
  const { send, text, has, names } = await userWith("blind", {
    "f": "1",
    "g": "2",
    "d/a": "3",
    "e/b": "4",
  });
  assert.equal(await send("MOVE", "f", "g", "Overwrite: F"), 412);
  assert.equal(await send("MOVE", "f", "e", "Overwrite: F"), 412);
  assert.deepEqual([await text("f"), await text("g"), await text("e/b")], ["1", "2", "4"]);
  assert.equal(await send("MOVE", "f", "g"), 201);
  assert.equal(await text("g"), "1");
  assert.equal(await send("MOVE", "d", "e"), 201);
  assert.deepEqual([await text("e/a"), has("e/b")], ["3", false]);
  assert.equal(await send("MOVE", "g", "e"), 201);
  assert.equal(await text("e"), "1");
  assert.equal(await send("MOVE", "none", "x"), 404);
  assert.deepEqual(names(), ["e"]);
});

Deno.test("COPY and MOVE between what may be looked at and what may not", async () => {
  const { send, text, names } = await userWith("half", { "f": "1", "in/d/a": "2", "d/b": "3" });
  assert.equal(await send("COPY", "f", "in/f"), 201);
  assert.equal(await send("MOVE", "in/d", "d"), 204);
  assert.equal(await text("d/a"), "2");
  assert.equal(await send("COPY", "f", "in/no/f"), 409);
  assert.equal(await send("MOVE", "in/f", "g"), 201);
  assert.deepEqual(names(), ["d", "f", "g", "in"]);
});

Deno.test("a right that is missing shows, and what is there does not", async () => {
  const careful = await userWith("careful", { "f": "1", "g": "2", "d/a": "3" });
  assert.equal(await careful.send("COPY", "f", "g"), 403, "an overwrite is another right");
  assert.equal(await careful.send("MOVE", "f", "g"), 403);
  assert.equal(await careful.text("g"), "2");
  const giver = await userWith("giver", { "f": "1", "d/a": "2" });
  for (const path of ["f", "d", "none"]) {
    assert.equal(await giver.ask("DELETE", path), 403, path);
    assert.equal(await giver.ask("MKCOL", path), 403, path);
    assert.equal(await giver.ask("GET", path), 403, path);
    assert.equal(await giver.send("COPY", path, "x"), 403, path);
    assert.equal(await giver.send("MOVE", path, "x"), 403, path);
    assert.equal(await giver.send("COPY", "f", path === "f" ? "y" : path), 403, path);
  }
  assert.deepEqual(giver.names(), ["d", "f"]);
});
