import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { scp, ssh } from "./clients.ts";
import { fingerprint, sha256 } from "./files.ts";
import { must } from "./process.ts";
import {
  flag,
  isBytes,
  modeAttributes,
  noAttributes,
  op,
  RawSftp,
  type Reply,
  status,
  str,
  u32,
  u64,
} from "./raw_sftp.ts";
import { unharmed } from "./unharmed.ts";
import { fileWorld } from "./world.ts";

const world = fileWorld([
  { username: "ann" },
  { username: "odd" },
  {
    username: "exact",
    permissions: { "/": ["*"], "/A": ["list"], "/share": ["list"] },
    filters: { file_patterns: [{ path: "/P", denied_patterns: ["*.txt"] }] },
  },
]);
const open = () => RawSftp.open(world().target("ann"));
const home = () => world().home("ann");

const refused = (answer: Buffer | Reply, ...codes: number[]): string => {
  assert.ok(!isBytes(answer), "an answer where a refusal was due");
  assert.equal(answer.type, 101, `reply of type ${answer.type}`);
  const among = codes.length > 0 ? codes : [status.noSuchFile, status.denied, status.failure];
  assert.ok(among.includes(answer.code), `status ${answer.code}: ${answer.message}`);
  return answer.message;
};

type Try = (sftp: RawSftp, path: Uint8Array | string) => Promise<Buffer | Reply>;

/** Every request that takes a path; all must refuse a bad one. */
const requests: Readonly<Record<string, Try>> = {
  stat: (s, p) => s.request(op.stat, str(p)),
  lstat: (s, p) => s.request(op.lstat, str(p)),
  read: (s, p) => s.open(p, flag.read),
  write: (s, p) => s.open(p, flag.write | flag.creat | flag.trunc),
  append: (s, p) => s.open(p, flag.write | flag.append),
  opendir: (s, p) => s.request(op.opendir, str(p)),
  remove: (s, p) => s.request(op.remove, str(p)),
  rmdir: (s, p) => s.request(op.rmdir, str(p)),
  mkdir: (s, p) => s.request(op.mkdir, str(p), noAttributes),
  setstat: (s, p) => s.request(op.setstat, str(p), modeAttributes(0o600)),
  readlink: (s, p) => s.request(op.readlink, str(p)),
  "rename from": (s, p) => s.request(op.rename, str(p), str("/renamed")),
  "rename to": (s, p) => s.request(op.rename, str("/present"), str(p)),
  "posix-rename to": (s, p) =>
    s.request(op.extended, str("posix-rename@openssh.com"), str("/present"), str(p)),
  "check-file": (s, p) =>
    s.request(op.extended, str("check-file-name"), str(p), str("sha256"), u64(0), u64(0), u32(0)),
};

const present = () => Deno.writeTextFile(`${home()}/present`, "present");

Deno.test("SECURITY 6.1: paths that climb or are encoded twice reach nothing", async () => {
  await present();
  const overlong = Buffer.concat([
    Buffer.from([0xc0, 0xae, 0xc0, 0xae, 0xc0, 0xaf]),
    Buffer.from("etc/passwd"),
  ]);
  const paths: ReadonlyArray<string | Uint8Array> = [
    "../../../../../../etc/passwd",
    "/../../../../../../etc/passwd",
    "..\\..\\..\\..\\etc\\passwd",
    "\\..\\..\\etc\\passwd",
    "%2e%2e/%2e%2e/etc/passwd",
    "/./.././../etc/passwd",
    "....//....//etc/passwd",
    overlong,
  ];
  await unharmed(world(), async () => {
    await using sftp = await open();
    for (const path of paths) {
      for (const [name, attempt] of Object.entries(requests)) {
        const answer = await attempt(sftp, path);
        assert.ok(!isBytes(answer), `${name} ${path}`);
        refused(answer);
      }
    }
    const root = await sftp.request(op.realpath, str("/./../"));
    assert.equal(root.type, 104);
    for (const path of paths.filter((p) => typeof p === "string")) {
      const ended = await scp(world().target("ann"), [
        "-O",
        `REMOTE:${path}`,
        `${world().dir}/stolen`,
      ]);
      assert.notEqual(ended.code, 0, String(path));
    }
  });
  await assert.rejects(Deno.stat(`${world().dir}/stolen`), Deno.errors.NotFound);
});

Deno.test("SECURITY 6.2: control bytes in names are refused with a text, and listings stay one line a file", async () => {
  await present();
  await unharmed(world(), async () => {
    await using sftp = await open();
    for (const byte of [0, 7, 9, 10, 13, 27, 127]) {
      const path = Buffer.concat([Buffer.from("/a"), Buffer.from([byte]), Buffer.from("b")]);
      for (const name of ["write", "mkdir", "rename to", "posix-rename to"]) {
        const answer = await requests[name]?.(sftp, path);
        assert.ok(answer && !isBytes(answer));
        assert.ok(refused(answer, status.failure).length > 0);
      }
    }
  });
  await must("sh", [
    "-c",
    'touch "$(printf "$0/line\\nbreak")" "$(printf "$0/esc\\033[2J")"',
    home(),
  ]);
  await using sftp = await open();
  const listed = await sftp.list("/");
  assert.ok(Array.isArray(listed));
  for (const { name, long } of listed) {
    assert.doesNotMatch(name.toString() + long, /\p{Cc}/u);
  }
  await must("sh", ["-c", 'rm -f "$0"/line* "$0"/esc*', home()]);
});

Deno.test("SECURITY 6.3: a name of 255 bytes works, 256 and a path of 4,096 are too long", async () => {
  await using sftp = await open();
  for (const name of ["n".repeat(255), "ü".repeat(127) + "n"]) {
    assert.equal((await sftp.put(`/${name}`, "x")).code, status.ok);
    assert.equal((await sftp.request(op.remove, str(`/${name}`))).code, status.ok);
  }
  await unharmed(world(), async () => {
    for (const path of ["/" + "n".repeat(256), "/" + "ü".repeat(128), "/d".repeat(2100)]) {
      for (const name of ["write", "mkdir", "rename to"]) {
        const answer = await requests[name]?.(sftp, path);
        assert.ok(answer && !isBytes(answer));
        const text = refused(answer);
        if (path.length < 3000 || name === "mkdir") assert.match(text, /long/i);
      }
    }
  });
});

Deno.test("SECURITY 6.4: names that are no UTF-8 are refused, and never shown as U+FFFD", async () => {
  await unharmed(world(), async () => {
    await using sftp = await open();
    for (const bytes of [[0xff, 0x61], [0xfe, 0x61], [0x61, 0xc3], [0xed, 0xa0, 0x80]]) {
      const path = Buffer.concat([Buffer.from("/"), Buffer.from(bytes)]);
      for (const name of ["write", "mkdir"]) {
        const answer = await requests[name]?.(sftp, path);
        assert.ok(answer && !isBytes(answer));
        refused(answer);
      }
    }
  });
  await must("sh", ["-c", 'touch "$(printf "$0/\\377a")" "$(printf "$0/\\376a")"', home()]);
  await using sftp = await open();
  const listed = await sftp.list("/");
  assert.ok(Array.isArray(listed));
  const shown = listed.map((e) => e.name.toString("hex"));
  assert.equal(new Set(shown).size, shown.length, "no two names collide");
  assert.ok(!shown.some((hex) => hex.includes("efbfbd")), "no replacement character");
  await must("sh", ["-c", 'rm -f "$0"/*a', home()]);
});

Deno.test("SECURITY 6.5: odd but legal names round-trip byte for byte", async () => {
  await using sftp = await RawSftp.open(world().target("odd"));
  const odd = [
    "a ",
    "a.",
    " a",
    "-rf",
    '"q"',
    "'",
    "CON",
    "a:b",
    "*?[]",
    "🦆",
    "é",
    "e\u0301",
    "~",
    "$(id)",
  ];
  for (const [i, name] of odd.entries()) {
    assert.equal((await sftp.put(`/${name}`, `content ${i}`)).code, status.ok, name);
  }
  for (const [i, name] of odd.entries()) {
    assert.equal(String(await sftp.get(`/${name}`)), `content ${i}`, name);
  }
  const listed = await sftp.list("/");
  assert.ok(Array.isArray(listed));
  const names = listed.map((e) => e.name.toString()).filter((n) => n !== "." && n !== "..");
  assert.deepEqual(names.sort(), [...odd].sort());
});

Deno.test("SECURITY 6.6: links planted on disk lead nowhere, and their owner can remove them", async () => {
  const outside = `${world().server.dataDir}/outside`;
  await Deno.mkdir(`${outside}/sub`, { recursive: true });
  await Deno.writeTextFile(`${outside}/secret`, "secret");
  await Deno.symlink(`${outside}/secret`, `${home()}/leaf`);
  await Deno.symlink(outside, `${home()}/dir`);
  await Deno.symlink("../../outside/secret", `${home()}/relative`);
  await present();
  const before = await fingerprint(outside);
  await using sftp = await open();
  const paths = ["/leaf", "/relative", "/dir/secret", "/dir/new", "/dir/sub"];
  for (const path of paths) {
    for (const [name, attempt] of Object.entries(requests)) {
      const itself = !path.startsWith("/dir/");
      // A link may be looked at, moved, replaced and removed; it may not be followed.
      const onLink = ["lstat", "remove", "readlink", "rename from", "rename to", "posix-rename to"];
      if (itself && onLink.includes(name)) continue;
      const answer = await attempt(sftp, path);
      assert.ok(!isBytes(answer), `${name} ${path} answered`);
      assert.equal(answer.type, 101, `${name} ${path}: reply of type ${answer.type}`);
      assert.notEqual(answer.code, status.ok, `${name} ${path} succeeded`);
    }
  }
  refused(await sftp.request(op.opendir, str("/dir")));
  for (const path of ["leaf", "dir/secret"]) {
    const target = world().target("ann");
    assert.notEqual((await ssh(target, ["sha256sum", path])).code, 0, path);
    assert.notEqual((await scp(target, ["-O", `REMOTE:${path}`, `${world().dir}/stolen`])).code, 0);
    assert.notEqual(
      (await scp(target, ["-O", "-r", "REMOTE:dir", `${world().dir}/stolen`])).code,
      0,
    );
    const sent = await scp(target, ["-O", `${world().key}.pub`, "REMOTE:dir/new"]);
    assert.notEqual(sent.code, 0);
  }
  for (const link of ["/leaf", "/relative", "/dir"]) {
    assert.equal((await sftp.request(op.remove, str(link))).code, status.ok, link);
  }
  assert.deepEqual(await fingerprint(outside), before);
});

Deno.test("SECURITY 6.7: RENAME onto an existing file fails and posix-rename replaces it", async () => {
  await using sftp = await open();
  await sftp.put("/new", "new");
  await sftp.put("/old", "old");
  refused(await sftp.request(op.rename, str("/new"), str("/old")), status.failure);
  assert.equal(String(await sftp.get("/old")), "old");
  assert.equal(String(await sftp.get("/new")), "new");
  const replaced = await sftp.request(
    op.extended,
    str("posix-rename@openssh.com"),
    str("/new"),
    str("/old"),
  );
  assert.equal(replaced.code, status.ok);
  assert.equal(String(await sftp.get("/old")), "new");
  refused(await sftp.request(op.stat, str("/new")), status.noSuchFile);
});

Deno.test("SECURITY 6.8: nothing moves into itself, copies onto itself or removes the root", async () => {
  await using sftp = await open();
  await sftp.request(op.mkdir, str("/tree"), noAttributes);
  await sftp.request(op.mkdir, str("/tree/sub"), noAttributes);
  await sftp.put("/tree/file", "content");
  await unharmed(world(), async () => {
    const refused = (answer: Reply) =>
      // BEHAVIOUR FS-04 and FS-06: what no storage could do is unsupported, not merely refused.
      assert.ok(
        answer.type === 101 && answer.code >= status.noSuchFile,
        `type ${answer.type} status ${answer.code}`,
      );
    const posix = (from: string, to: string) =>
      sftp.request(op.extended, str("posix-rename@openssh.com"), str(from), str(to));
    refused(await sftp.request(op.rename, str("/tree"), str("/tree/sub/tree")));
    refused(await posix("/tree", "/tree/sub/tree"));
    refused(await posix("/", "/tree/root"));
    refused(await posix("/tree", "/"));
    refused(await sftp.request(op.rmdir, str("/")));
    refused(await sftp.request(op.remove, str("/")));
    refused(await sftp.request(op.rmdir, str("/tree/..")));
    const handle = await sftp.handle("/tree/file", flag.read);
    const copied = await sftp.request(
      op.extended,
      ...[str("copy-data"), str(handle), u64(0), u64(0), str(handle), u64(0)],
    );
    refused(copied);
    await sftp.close(handle);
  });
});

Deno.test("SECURITY 6.9: REMOVE of a directory, RMDIR of a file and of a full directory say why", async () => {
  await using sftp = await open();
  await sftp.request(op.mkdir, str("/full"), noAttributes);
  await sftp.put("/full/file", "x");
  await unharmed(world(), async () => {
    assert.match(refused(await sftp.request(op.remove, str("/full")), status.failure), /director/i);
    assert.match(refused(await sftp.request(op.rmdir, str("/full/file"))), /director/i);
    assert.match(refused(await sftp.request(op.rmdir, str("/full")), status.failure), /empty/i);
  });
});

Deno.test("SECURITY 6.10: rules for /A and /share say nothing of /a and /share2", async () => {
  await using sftp = await RawSftp.open(world().target("exact"));
  const exact = world().home("exact");
  for (const dir of ["A", "a", "share", "share2", "sharex", "P", "p"]) {
    await Deno.mkdir(`${exact}/${dir}`);
  }
  for (const dir of ["a", "share2", "sharex", "p"]) {
    assert.equal((await sftp.put(`/${dir}/f.txt`, "x")).code, status.ok, dir);
  }
  for (
    const path of [
      "/A/f.txt",
      "/share/f.txt",
      "/share/../A/f.txt",
      "\\A\\f.txt",
      "/a/../A//f.txt",
      "/P/f.txt",
      "/P/F.TXT",
    ]
  ) {
    refused(await sftp.put(path, "x"), status.denied);
  }
  assert.deepEqual([...Deno.readDirSync(`${exact}/A`)], []);
  assert.deepEqual([...Deno.readDirSync(`${exact}/share`)], []);
  assert.equal(await sha256(`${exact}/a/f.txt`), await sha256(`${exact}/share2/f.txt`));
});
