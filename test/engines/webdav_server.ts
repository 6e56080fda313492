/** The child: webdav-server behind its own extension points. It prints what happens as lines of JSON. */
import { Buffer } from "node:buffer";
import process from "node:process";
import { Readable, type Writable } from "node:stream";

// A name at run time, so that the product's own lock file does not hold the package.
const name = "npm:webdav-server@2.6.3";
const { v2 } = await import(name);
if (Deno.args[0] === "probe") Deno.exit(0);

interface Options {
  /** A folder served by the package's own physical file system; without it its virtual one. */
  readonly root?: string;
  /** Enforces locks by token from a FileSystem subclass, with `If` kept from the package. */
  readonly ownGuard?: boolean;
  /** So many files in the root of the virtual file system. */
  readonly entries?: number;
}
const options: Options = JSON.parse(Deno.args[0] ?? "{}");

const tell = (event: string, more: Record<string, unknown> = {}) =>
  Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify({ event, ...more }) + "\n"));

interface Locks {
  getLocks(done: (e: unknown, locks: ReadonlyArray<{ readonly uuid: string }>) => void): void;
}

/** The in-memory file system of the package, with what happens to its streams told. */
class Told extends v2.VirtualFileSystem {
  constructor() {
    super();
    for (let i = 0; i < (options.entries ?? 0); i++) {
      this.resources[`/entry-${i}`] = new v2.VirtualFileSystemResource(v2.ResourceType.File);
    }
  }
  _openReadStream(path: object, context: object, done: (e: unknown, stream?: Readable) => void) {
    if (`${path}` !== "/eight") return super._openReadStream(path, context, done);
    const chunk = Buffer.alloc(65536, 0x78);
    let sent = 0;
    const stream = new Readable({
      read() {
        if (sent === 128) this.push(null);
        else this.push(chunk), sent++;
      },
    });
    stream.on("end", () => tell("read", { bytes: sent * chunk.length }));
    stream.on("close", () => tell("closed", { bytes: sent * chunk.length }));
    done(null, stream);
  }
  _size(path: object, context: object, done: (e: unknown, size?: number) => void) {
    if (`${path}` === "/eight") done(null, 128 * 65536);
    else super._size(path, context, done);
  }
  _openWriteStream(path: object, context: object, done: (e: unknown, stream?: Writable) => void) {
    super._openWriteStream(path, context, (e: unknown, stream?: Writable) => {
      stream?.on("finish", () => tell("finish", { path: `${path}` }));
      stream?.on("close", () => tell("write-closed", { path: `${path}` }));
      tell("open-write", { path: `${path}` });
      done(e, stream);
    });
  }
  isLocked(
    context: { headers: { find(name: string): string | null } },
    path: object,
    depth: unknown,
    done?: (e: unknown, locked?: boolean) => void,
  ) {
    if (!options.ownGuard) return super.isLocked(context, path, depth, done);
    const callback = done ?? depth as (e: unknown, locked?: boolean) => void;
    this._lockManager(path, { context }, (e: Error | null, manager: Locks) => {
      if (e) return callback(null, false);
      manager.getLocks((_e, locks) => {
        const tokens = context.headers.find("X-If") ?? "";
        callback(null, locks.some((lock) => !tokens.includes(lock.uuid)));
      });
    });
  }
}

const users = new v2.SimpleUserManager();
users.addUser("anna", "pa", false);
const server = new v2.WebDAVServer({
  hostname: "127.0.0.1",
  port: 0,
  requireAuthentification: true,
  httpAuthentication: new v2.HTTPBasicAuthentication(users, "test"),
  rootFileSystem: options.root ? new v2.PhysicalFileSystem(options.root) : new Told(),
});
if (options.ownGuard) {
  const { createServer } = await import("node:http");
  const listener = createServer((request, response) => {
    const value = request.headers.if;
    if (typeof value === "string") request.headers["x-if"] = value;
    delete request.headers.if;
    server.executeRequest(request, response);
  });
  listener.listen(0, "127.0.0.1", () => {
    tell("listening", { port: (listener.address() as { port: number }).port });
  });
} else {
  const listener = await server.startAsync(0);
  tell("listening", { port: listener.address().port });
}
process.on("SIGTERM", () => Deno.exit(0));
