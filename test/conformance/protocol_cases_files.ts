import { type Case, looksFirst } from "./protocol.ts";
import { sha1 } from "./protocol_openssh.ts";
import { bytesOf, describe, lines, lookOf } from "./protocol_trees.ts";

const then = Date.UTC(2020, 0, 2, 3, 4, 0) / 1000;
const looks = (text: string) => describe(new TextEncoder().encode(text));

const readAhead = {
  why: "curl reads ahead over SFTP; what it was sent counts",
  events: ["download /f 16"],
} as const;
const noEnd = {
  why: "FTP has a restart point and no end; what was sent counts",
  events: ["download /f 16"],
} as const;

/** Putting and getting the bytes of files. */
export const fileCases: ReadonlyArray<Case> = [
  {
    name: "put a new file",
    ask: ["put", "/new", "hello"],
    outcome: "done",
    after: { "/new": "hello" },
    events: ["upload /new 5"],
  },
  {
    name: "put an empty file",
    ask: ["put", "/empty", ""],
    outcome: "done",
    after: { "/empty": "" },
    events: ["upload /empty 0"],
  },
  {
    name: "put 10 MiB",
    ask: ["put", "/big", 10_485_760],
    outcome: "done",
    after: { "/big": 10_485_760 },
    events: ["upload /big 10485760"],
  },
  {
    name: "put onto a file",
    before: { "/f": "what was there before" },
    ask: ["put", "/f", "new"],
    outcome: "done",
    after: { "/f": "new" },
    events: ["upload /f 3"],
  },
  {
    name: "put into a directory that is missing",
    before: { "/d/": null },
    ask: ["put", "/missing/f", "hello"],
    outcome: "noParent",
  },
  {
    name: "put below a file",
    before: { "/f": "hello" },
    ask: ["put", "/f/g", "hello"],
    outcome: "notDirectory",
    events: ["failed upload /f/g"],
    except: looksFirst("SCP", "WebDAV"),
  },
  {
    name: "put onto a directory",
    before: { "/d/f": "hello" },
    ask: ["putExactly", "/d", "other"],
    outcome: "isDirectory",
  },
  ...[
    ["UTF-8", "grüße 日本 🗂"],
    ["spaces", " a  b "],
    ["quotes", `it's "so"`],
    ["a percent sign", "100%25 %zz"],
    ["a hash and a question mark", "a#b?c&d=e"],
    ["brackets, stars and semicolons", "[a]*{b};c$(d)"],
  ].map(([what = "", name = ""]): Case => ({
    name: `put a name with ${what}`,
    ask: ["put", `/${name}`, "hello"],
    outcome: "done",
    after: { [`/${name}`]: "hello" },
    events: [`upload /${name} 5`],
  })),
  {
    name: "put a name with a backslash, which separates like a slash",
    before: { "/a/": null },
    ask: ["put", "/a\\b", "hello"],
    outcome: "done",
    after: { "/a/b": "hello" },
    events: ["upload /a/b 5"],
  },
  {
    name: "put a name that the server keeps for itself",
    ask: ["put", "/.sluice-upload.e186ce2600000003ca2ea3ef.new", "hello"],
    outcome: "denied",
    events: ["failed upload /.sluice-upload.e186ce2600000003ca2ea3ef.new"],
  },
  {
    name: "put with a modification time",
    ask: ["putDated", "/dated", "hello", then],
    outcome: "done",
    after: { "/dated": "hello" },
    attributes: { path: "/dated", mtime: then },
    events: ["upload /dated 5"],
  },
  {
    name: "put a tree",
    anyOrder: true,
    ask: ["putTree", "t", { "/a": "one", "/d/b": "two" }],
    outcome: "done",
    after: { "/t/a": "one", "/t/d/b": "two" },
    events: ["mkdir /t", "upload /t/a 3", "mkdir /t/d", "upload /t/d/b 3"],
  },
  {
    name: "go on with an upload",
    before: { "/f": { first: 100_000, of: 300_000 } },
    ask: ["resume", "/f", 300_000],
    outcome: "done",
    after: { "/f": 300_000 },
    events: ["upload /f 300000"],
  },
  {
    name: "append to a file",
    before: { "/f": "one" },
    ask: ["append", "/f", "two"],
    outcome: "done",
    after: { "/f": "onetwo" },
    events: ["upload /f 6"],
  },
  {
    name: "get a file",
    before: { "/f": "hello" },
    ask: ["get", "/f"],
    outcome: "done",
    shown: looks("hello"),
    events: ["download /f 5"],
  },
  {
    name: "get 10 MiB",
    before: { "/f": 10_485_760 },
    ask: ["get", "/f"],
    outcome: "done",
    shown: describe(bytesOf(10_485_760)),
    events: ["download /f 10485760"],
  },
  {
    name: "get an empty file",
    before: { "/f": "" },
    ask: ["get", "/f"],
    outcome: "done",
    shown: looks(""),
  },
  {
    name: "get a name with all sorts of characters",
    before: { "/ü #?%41 'x'": "hello" },
    ask: ["get", "/ü #?%41 'x'"],
    outcome: "done",
    shown: looks("hello"),
    events: ["download /ü #?%41 'x' 5"],
  },
  {
    name: "get a file that is missing",
    ask: ["get", "/missing"],
    outcome: "notFound",
  },
  {
    name: "get a directory as a file",
    before: { "/d/f": "hello" },
    ask: ["get", "/d"],
    outcome: "isDirectory",
    except: {
      WebDAV: { why: "GET of a collection is answered with what is in it", outcome: "done" },
    },
  },
  {
    name: "go on with a download",
    before: { "/f": 300_000 },
    ask: ["getRest", "/f", { first: 100_000, of: 300_000 }],
    outcome: "done",
    shown: describe(bytesOf(300_000)),
    events: ["download /f 200000"],
  },
  {
    name: "get ten bytes out of a file",
    before: { "/f": "0123456789abcdefghijklmnop" },
    ask: ["getRange", "/f"],
    outcome: "done",
    shown: looks("abcdefghij"),
    events: ["download /f 10"],
    except: { SFTP: readAhead, FTP: noEnd, FTPS: noEnd },
  },
  {
    name: "get a tree",
    anyOrder: true,
    before: { "/t/a": "one", "/t/d/b": "two" },
    ask: ["getTree", "/t"],
    outcome: "done",
    shown: lines(lookOf({ "/a": "one", "/d/b": "two" }, {}, [])),
    events: ["download /t/a 3", "download /t/d/b 3"],
  },
  {
    name: "size of a file",
    before: { "/f": "hello" },
    ask: ["stat", "/f"],
    outcome: "done",
    shown: "5",
  },
  {
    name: "size of a file that is missing",
    ask: ["stat", "/missing"],
    outcome: "notFound",
  },
  {
    name: "checksum of a file",
    before: { "/f": "hello" },
    ask: ["hash", "/f"],
    outcome: "done",
    shown: sha1("hello"),
    except: {
      SFTP: {
        why: "rclone runs commands over SSH for it, which are events of their own",
        events: ["ssh_cmd md5sum", "ssh_cmd sha1sum /f"],
      },
    },
  },
  {
    name: "set the mode of a file",
    before: { "/f": "hello" },
    ask: ["chmod", "/f", 0o640],
    outcome: "done",
    attributes: { path: "/f", mode: 0o640 },
  },
  {
    name: "set the time of a file",
    before: { "/f": "hello" },
    ask: ["touch", "/f", then],
    outcome: "done",
    attributes: { path: "/f", mtime: then },
  },
  {
    name: "set the time of a file that is missing",
    ask: ["touch", "/missing", then],
    outcome: "notFound",
  },
];
