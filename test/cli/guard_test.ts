import assert from "node:assert/strict";
import { scratch } from "../e2e/files.ts";
import { sluice } from "../e2e/server.ts";

Deno.test("iplist and defender answer with JSON and the exit codes of every command", async () => {
  await using place = await scratch();
  const run = async (...args: string[]) => {
    const { code, stdout } = await sluice(place.dir, [...args, "--json"]);
    return { code, answer: JSON.parse(stdout) };
  };
  const added = await run("iplist", "add", "defender", "192.0.2.77/24", "--protocols", "ssh,dav");
  assert.equal(added.code, 0);
  const { ipornet, type, mode, protocols } = added.answer;
  assert.deepEqual([ipornet, type, mode, protocols], ["192.0.2.0/24", 2, 1, 5]);
  assert.equal((await run("iplist", "add", "defender", "192.0.2.0/24")).code, 4, "twice");
  assert.equal((await run("iplist", "add", "allow", "192.0.2.1", "--mode", "deny")).code, 2);
  assert.equal((await run("iplist", "add", "allow", "192.0.2.999")).code, 2);
  assert.equal((await run("iplist", "add", "friends", "192.0.2.1")).code, 2);
  const denied = await run("iplist", "update", "2", "192.0.2.0/24", "--mode", "deny");
  assert.deepEqual([denied.code, denied.answer.mode, denied.answer.protocols], [0, 2, 5]);
  assert.equal((await run("iplist", "list", "defender")).answer.length, 1);
  assert.equal((await run("iplist", "show", "defender", "192.0.2.0/24")).answer.mode, 2);
  assert.equal((await run("iplist", "remove", "defender", "192.0.2.0/24")).code, 0);
  assert.equal((await run("iplist", "show", "defender", "192.0.2.0/24")).code, 3);
  assert.equal((await run("iplist", "remove", "defender", "192.0.2.0/24")).code, 3);
  assert.deepEqual(await run("defender", "list"), { code: 0, answer: [] });
  assert.equal((await run("defender", "show", "192.0.2.1")).code, 3);
  assert.equal((await run("defender", "remove", "nobody")).code, 2);
});
