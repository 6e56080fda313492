import assert from "node:assert/strict";
import { Permission } from "../../src/model/user.ts";
import { type Operation, operations, type Rule } from "../../src/vfs/policy.ts";
import { exec } from "./raw_exec.ts";
import {
  flag,
  modeAttributes,
  noAttributes,
  op,
  RawSftp,
  status,
  str,
  u32,
  u64,
} from "./raw_sftp.ts";
import { fileWorld } from "./world.ts";

const all: ReadonlyArray<Permission> = Permission.literals.filter((p) => p !== "*");

/** One directory for each set of permissions: each alone, all but each, everything, nothing. */
const sets: ReadonlyArray<readonly [dir: string, ReadonlyArray<Permission>]> = [
  ["all", ["*"]],
  ["none", []],
  ...all.map((p) => [`only_${p}`, [p]] as const),
  ...all.map((p) => [`but_${p}`, all.filter((other) => other !== p)] as const),
  // A summary stands for its members, so what lacks a member must lack the summary too.
  ["but_delete_files_at_all", all.filter((p) => p !== "delete" && p !== "delete_files")],
  ["but_delete_dirs_at_all", all.filter((p) => p !== "delete" && p !== "delete_dirs")],
  ["but_rename_files_at_all", all.filter((p) => p !== "rename" && p !== "rename_files")],
  ["but_rename_dirs_at_all", all.filter((p) => p !== "rename" && p !== "rename_dirs")],
];

const world = fileWorld([{
  username: "ann",
  permissions: { "/": ["*"], ...Object.fromEntries(sets.map(([dir, held]) => [`/${dir}`, held])) },
}], {
  config: { common: { symlink_mode: 1 }, sftpd: { enabled_ssh_commands: ["*"] } },
});

/** BEHAVIOUR PERM-01, 06 and 09, said once more and without the server's code. */
const holds = (held: ReadonlyArray<Permission>, needed: Permission): boolean =>
  held.includes("*") || held.includes(needed) ||
  (/^delete_/.test(needed) && held.includes("delete")) ||
  (/^rename_/.test(needed) && held.includes("rename"));

const needsOf = (...names: Operation[]): ReadonlyArray<Permission> =>
  names.flatMap((name) => {
    const { needs, target = [] }: Rule = operations[name];
    return [...needs, ...target];
  });

/** `true`: done. `false`: refused in the way the protocol refuses a right. Else what else came. */
type Outcome = boolean | string;

interface Attempt {
  readonly needs: ReadonlyArray<Permission>;
  /** Whether success changes the disk. */
  readonly changes: boolean;
  readonly run: (session: Session, dir: string) => Promise<Outcome>;
}
interface Session {
  readonly sftp: RawSftp;
}

const byStatus = (code: number, message: string): Outcome =>
  code === status.ok ? true : code === status.denied ? false : `status ${code} ${message}`;

/** An attempt of one request that answers STATUS, or `good` as the type of its success. */
const request = (
  names: ReadonlyArray<Operation>,
  type: number,
  fields: (dir: string) => ReadonlyArray<Uint8Array>,
  good?: number,
): Attempt => ({
  needs: needsOf(...names),
  changes: names.some((name) => operations[name].writes),
  run: async ({ sftp }, dir) => {
    const reply = await sftp.request(type, ...fields(dir));
    if (good !== undefined && reply.type === good) return true;
    return reply.type === 101
      ? byStatus(reply.code, reply.message)
      : `a reply of type ${reply.type}`;
  },
});
const extension = (
  names: ReadonlyArray<Operation>,
  name: string,
  fields: (dir: string) => ReadonlyArray<Uint8Array>,
  good?: number,
) => request(names, op.extended, (dir) => [str(name), ...fields(dir)], good);

const write = (names: ReadonlyArray<Operation>, file: string, flags: number): Attempt => ({
  needs: needsOf(...names),
  changes: true,
  run: async ({ sftp }, dir) => {
    const { code, message } = await sftp.put(`/${dir}/${file}`, "written", flags);
    return byStatus(code, message);
  },
});

const command = (names: ReadonlyArray<Operation>, line: (dir: string) => string): Attempt => ({
  needs: needsOf(...names),
  changes: true,
  run: async ({ sftp }, dir) => {
    const { code, stdout, stderr } = await exec(sftp.connection, line(dir));
    if (code === 0) return true;
    return /denied/i.test(stdout + stderr) ? false : `exit ${code}: ${stdout}${stderr}`;
  },
});

/** Feeds scp's sink one file, or one directory with a file in it. */
const sink = (
  names: ReadonlyArray<Operation>,
  line: (dir: string) => string,
  input: ReadonlyArray<string>,
): Attempt => ({
  needs: needsOf(...names),
  changes: true,
  run: async ({ sftp }, dir) => {
    const { code, stdout, stderr } = await exec(sftp.connection, line(dir), input);
    if (code === 0) return true;
    return /denied/i.test(stdout + stderr) ? false : `exit ${code}: ${stdout}${stderr}`;
  },
});

const sftpAttempts: Readonly<Record<string, Attempt>> = {
  "stat": request(["stat"], op.stat, (d) => [str(`/${d}/file`)], 105),
  "lstat": request(["lstat"], op.lstat, (d) => [str(`/${d}/file`)], 105),
  "list": request(["list"], op.opendir, (d) => [str(`/${d}`)], 102),
  "realpath": request(["realpath"], op.realpath, (d) => [str(`/${d}/file`)], 104),
  "readlink": request(["readlink"], op.readlink, (d) => [str(`/${d}/link`)], 104),
  "statvfs": extension(["available"], "statvfs@openssh.com", (d) => [str(`/${d}`)], 201),
  "read": request(["read"], op.open, (d) => [str(`/${d}/file`), u32(flag.read), noAttributes], 102),
  "check-file": extension(
    ["checksum"],
    "check-file-name",
    (d) => [str(`/${d}/file`), str("sha256"), u64(0), u64(0), u32(0)],
    201,
  ),
  "create": write(["create"], "new", flag.write | flag.creat | flag.excl),
  "create with truncate": write(["create"], "new", flag.write | flag.creat | flag.trunc),
  "overwrite": write(["overwrite"], "file", flag.write | flag.creat | flag.trunc),
  "write in place": write(["overwrite"], "file", flag.write),
  "append": write(["overwrite"], "file", flag.write | flag.append),
  "truncate": request(["truncate"], op.setstat, (d) => [str(`/${d}/file`), u32(1), u64(2)]),
  "chmod": request(["chmod"], op.setstat, (d) => [str(`/${d}/file`), modeAttributes(0o604)]),
  "chtimes": request(
    ["chtimes"],
    op.setstat,
    (d) => [str(`/${d}/file`), u32(8), u32(1_000_000), u32(1_000_000)],
  ),
  "mkdir": request(["mkdir"], op.mkdir, (d) => [str(`/${d}/newdir`), noAttributes]),
  "remove": request(["remove"], op.remove, (d) => [str(`/${d}/file`)]),
  "remove a link": request(["remove"], op.remove, (d) => [str(`/${d}/link`)]),
  "rmdir": request(["rmdir"], op.rmdir, (d) => [str(`/${d}/empty`)]),
  "rename a file": request(
    ["rename_file"],
    op.rename,
    (d) => [str(`/${d}/file`), str(`/${d}/moved`)],
  ),
  "rename a directory": request(
    ["rename_dir"],
    op.rename,
    (d) => [str(`/${d}/empty`), str(`/${d}/moved`)],
  ),
  "posix-rename onto a file": extension(
    ["rename_file", "replace"],
    "posix-rename@openssh.com",
    (d) => [str(`/${d}/file`), str(`/${d}/other`)],
  ),
  "symlink": request(["symlink"], op.symlink, (d) => [str(`/${d}/file`), str(`/${d}/soft`)]),
  "hardlink": extension(
    ["hardlink"],
    "hardlink@openssh.com",
    (d) => [str(`/${d}/file`), str(`/${d}/hard`)],
  ),
  ...(Deno.uid() === 0
    ? {
      "chown": request(
        ["chown"],
        op.setstat,
        (d) => [str(`/${d}/file`), u32(2), u32(123), u32(123)],
      ),
    }
    : {}),
  "copy command": command(["copy"], (d) => `sluice-copy /${d}/file /${d}/copied`),
  "copy command of a tree": command(
    ["copy", "copy_dir"],
    (d) => `sluice-copy /${d}/empty /${d}/copied`,
  ),
  "hash command": {
    ...command(["checksum"], (d) => `sha256sum /${d}/file`),
    changes: false,
  },
  "remove command": command(["remove"], (d) => `sluice-remove /${d}/file`),
};

const scpAttempts: Readonly<Record<string, Attempt>> = {
  "upload": sink(["create"], (d) => `scp -t /${d}/new`, ["C0644 2 new\n", "hi", "\0"]),
  "upload onto a file": sink(["overwrite"], (d) => `scp -t /${d}/file`, [
    "C0644 2 file\n",
    "hi",
    "\0",
  ]),
  "upload of a tree": sink(
    ["mkdir"],
    (d) => `scp -r -t /${d}`,
    ["D0755 0 newdir\n", "E\n"],
  ),
  "download": {
    needs: needsOf("read"),
    changes: false,
    run: async ({ sftp }, dir) => {
      const { code, stdout, stderr } = await exec(sftp.connection, `scp -f /${dir}/file`, [
        "\0",
        "\0",
        "\0",
      ]);
      if (code === 0) return stdout.includes("content") ? true : `no content: ${stdout}`;
      return /denied/i.test(stdout + stderr) ? false : `exit ${code}: ${stdout}${stderr}`;
    },
  },
};

const fill = async (dir: string) => {
  const path = `${world().home("ann")}/${dir}`;
  await Deno.remove(path, { recursive: true }).catch(() => {});
  await Deno.mkdir(`${path}/empty`, { recursive: true });
  await Deno.writeTextFile(`${path}/file`, "content");
  await Deno.writeTextFile(`${path}/other`, "other content");
  await Deno.chmod(`${path}/file`, 0o644);
  await Deno.symlink("file", `${path}/link`);
  const then = new Date("2022-01-01T00:00:00Z");
  await Deno.utime(`${path}/file`, then, then);
};

const look = async (dir: string): Promise<string> => {
  const path = `${world().home("ann")}/${dir}`;
  const lines: string[] = [];
  for await (const entry of Deno.readDir(path)) {
    const { mode, uid, size, mtime } = await Deno.lstat(`${path}/${entry.name}`);
    const content = entry.isFile ? await Deno.readTextFile(`${path}/${entry.name}`) : "";
    const when = entry.isFile ? mtime?.getTime() : "";
    lines.push([entry.name, mode, uid, entry.isFile ? size : "", when, content].join(" "));
  }
  return lines.sort().join("\n");
};

const tables = [["SFTP", sftpAttempts], ["SCP", scpAttempts]] as const;
for (const [protocol, attempts] of tables) {
  for (const [name, { needs, changes, run }] of Object.entries(attempts)) {
    const said = needs.length === 0 ? "nothing" : needs.join(" and ");
    Deno.test(`Must show 5: ${protocol} ${name} needs ${said}, and does nothing without`, async () => {
      await using sftp = await RawSftp.open(world().target("ann"));
      const wrong: string[] = [];
      for (const [dir, held] of sets) {
        await fill(dir);
        const before = await look(dir);
        const allowed = needs.every((need) => holds(held, need));
        const outcome = await run({ sftp }, dir).catch((error) => String(error));
        const after = await look(dir);
        if (outcome !== allowed) wrong.push(`${dir}: ${outcome} where ${allowed} was due`);
        if (!allowed && after !== before) wrong.push(`${dir}: refused, and yet changed:\n${after}`);
        if (allowed && changes && after === before) {
          wrong.push(`${dir}: allowed, and nothing changed`);
        }
      }
      assert.deepEqual(wrong, []);
    });
  }
}

Deno.test("Must show 5: every operation of the policy table is in the matrix", () => {
  const seen = new Set(
    [...Object.values(sftpAttempts), ...Object.values(scpAttempts)].flatMap((a) => a.needs),
  );
  const needed = new Set(Object.keys(operations).flatMap((name) => needsOf(name as Operation)));
  if (Deno.uid() !== 0) needed.delete("chown");
  assert.deepEqual([...needed].filter((p) => !seen.has(p)), []);
});
