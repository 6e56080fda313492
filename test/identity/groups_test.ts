import assert from "node:assert/strict";
import { Schema as S } from "effect";
import { effectiveUser } from "../../src/model/effective.ts";
import { Folder } from "../../src/model/folder.ts";
import { Group } from "../../src/model/group.ts";
import { makeUser } from "../vfs/bench.ts";

const group = (name: string, settings: Record<string, unknown>, folders: unknown[] = []) =>
  S.decodeUnknownSync(Group)({ name, user_settings: settings, virtual_folders: folders });
const merge = (user: Record<string, unknown>, ...groups: Group[]) =>
  effectiveUser(
    makeUser(user),
    new Map(groups.map((g) => [g.name, g])),
    new Map(["a", "b"].map((name) => [
      name,
      S.decodeUnknownSync(Folder)({ name, mapped_path: `/srv/${name}/%username%` }),
    ])),
  );
const one = { name: "one", type: 1 };
const two = { name: "two", type: 2 };
const three = { name: "three", type: 2 };

Deno.test("GRP-03, GRP-04: effectiveUser() takes single values from the primary group where the user has none", () => {
  const given = group("one", {
    home_dir: "/h/%username%",
    quota_size: 5,
    max_sessions: 3,
    expires_in: 2,
  });
  const user = merge({ groups: [one], max_sessions: 1, created_at: 1000 }, given);
  assert.deepEqual(
    [user.home_dir, user.quota_size, user.max_sessions, user.expiration_date],
    ["/h/alice", 5, 1, 1000 + 2 * 86_400_000],
  );
  const secondary = merge({ groups: [{ name: "one", type: 2 }] }, given);
  assert.deepEqual([secondary.home_dir, secondary.quota_size], ["", 0]);
  assert.equal(merge({ groups: [{ name: "one", type: 3 }] }, given).quota_size, 0);
});

Deno.test("GRP-05, GRP-06, GRP-10: effectiveUser() adds up lists, the primary group first, `/` from it only", () => {
  const user = merge(
    { groups: [three, two, one] },
    group("one", {
      permissions: { "/": ["list"], "/p": ["list"] },
      filters: { denied_ip: ["10.0.0.1"] },
    }, [
      { name: "a", virtual_path: "/m" },
    ]),
    group("two", { permissions: { "/": ["*"], "/p": ["*"], "/q": ["*"] } }, [
      { name: "b", virtual_path: "/m" },
      { name: "b", virtual_path: "/n", subpath: "two" },
      { name: "b", virtual_path: "/" },
    ]),
    group("three", { filters: { denied_ip: ["10.0.0.2"] } }, [
      { name: "b", virtual_path: "/n", subpath: "three" },
    ]),
  );
  assert.deepEqual(user.permissions, { "/": ["list"], "/p": ["list"], "/q": ["*"] });
  assert.deepEqual(user.filters.denied_ip, ["10.0.0.1", "10.0.0.2"]);
  assert.deepEqual(
    user.virtual_folders.map((m) => [m.virtual_path, m.name, m.subpath, m.mapped_path]),
    [["/m", "a", "", "/srv/a/alice"], ["/n", "b", "three", "/srv/b/alice"]],
  );
});

Deno.test("GRP-09: effectiveUser() drops what a placeholder would widen", () => {
  const give = group("one", { permissions: { "/%role%": ["*"] } }, [
    { name: "a", virtual_path: "/m", subpath: "%role%" },
    { name: "b", virtual_path: "/u/%username%" },
  ]);
  const none = merge({ groups: [one] }, give);
  assert.deepEqual(Object.keys(none.permissions), ["/"]);
  assert.deepEqual(none.virtual_folders.map((m) => m.virtual_path), ["/u/alice"]);
  assert.deepEqual(merge({ groups: [one], username: ".." }, give).virtual_folders, []);
});

Deno.test("AUTH-16: effectiveUser() leaves anonymous users what they may list and download, a group's word included", () => {
  const permissions = { "/": ["*"], "/in": ["upload"], "/look": ["list", "delete"] };
  const kept = { "/": ["list", "download"], "/in": [], "/look": ["list"] };
  const alone = merge({ permissions, filters: { is_anonymous: true } });
  assert.deepEqual(alone.permissions, kept);
  const given = group("one", { filters: { is_anonymous: true }, permissions: { "/given": ["*"] } });
  assert.deepEqual(merge({ permissions, groups: [one] }, given).permissions, {
    ...kept,
    "/given": ["list", "download"],
  });
});

Deno.test("DIS-18: effectiveUser() settles collisions of secondary groups by the order of the user's list alone", () => {
  const two_ = group("two", { permissions: { "/p": ["list"] } });
  const three_ = group("three", { permissions: { "/p": ["upload"] } });
  // Whatever order the catalog answers in.
  for (const groups of [[two_, three_], [three_, two_]]) {
    assert.deepEqual(merge({ groups: [two, three] }, ...groups).permissions["/p"], ["list"]);
    assert.deepEqual(merge({ groups: [three, two] }, ...groups).permissions["/p"], ["upload"]);
  }
});
