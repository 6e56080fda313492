import { type Case, looksFirst } from "./protocol.ts";

const control = "/a\u0001b";
const long = `/${"n".repeat(300)}`;

const refused = {
  why: "a path with .. in it is refused: no client of HTTP means it well",
  outcome: "invalid",
  events: [],
} as const;
const dotDot = { WebDAV: refused, HTTP: refused };

const noNul = { none: "no client of it can be told such a name: arguments end at a NUL" };

/** Paths that lead elsewhere, and names that are none. */
export const pathCases: ReadonlyArray<Case> = [
  {
    name: "make a link",
    before: { "/f": "hello" },
    ask: ["symlink", "f", "/l"],
    outcome: "done",
    after: { "/l": { link: "f" } },
  },
  {
    name: "get through a link",
    before: { "/d/f": "hello", "/l": { link: "d/f" } },
    ask: ["get", "/l"],
    outcome: "done",
    shown: "5 2cf24dba",
    events: ["download /l 5"],
  },
  {
    name: "get through a link that leads out",
    before: { "/out": { link: "/etc/passwd" } },
    ask: ["get", "/out"],
    outcome: "denied",
    events: ["failed download /out"],
    except: looksFirst("SFTP", "FTP"),
  },
  {
    name: "put through a link that leads out",
    before: { "/out": { link: "/tmp" } },
    ask: ["put", "/out/sluice-escaped", "hello"],
    outcome: "denied",
    events: ["failed upload /out/sluice-escaped"],
  },
  {
    name: "list through a link that leads out",
    before: { "/out": { link: "/etc" } },
    ask: ["list", "/out"],
    outcome: "denied",
    except: {
      SFTP: {
        why: "sftp's ls shows what it cannot follow as a name",
        outcome: "done",
        shown: ["out"],
      },
    },
  },
  {
    name: "get above the root",
    before: { "/etc/passwd": "not the real one" },
    ask: ["get", "/../../etc/passwd"],
    outcome: "done",
    shown: "16 d8a38fac",
    events: ["download /etc/passwd 16"],
    except: dotDot,
  },
  {
    name: "list above the root, where other users' homes are",
    before: { "/mine": "hello" },
    ask: ["list", "/.."],
    outcome: "done",
    shown: ["mine"],
    except: dotDot,
  },
  {
    name: "put a name with a control character",
    ask: ["put", control, "hello"],
    outcome: "invalid",
    except: { FTP: { none: "curl sends no control character in a URL" } },
  },
  {
    name: "make a directory with a control character",
    ask: ["mkdir", control],
    outcome: "invalid",
  },
  {
    name: "get a name with a NUL",
    before: { "/a": "hello" },
    ask: ["get", "/a\0b"],
    outcome: "invalid",
    except: { SFTP: noNul, SCP: noNul, FTP: noNul, FTPS: noNul },
  },
  { name: "put a name that is too long", ask: ["put", long, "hello"], outcome: "tooLong" },
  { name: "make a directory whose name is too long", ask: ["mkdir", long], outcome: "tooLong" },
];
