/** The child: ftp-srv behind its own extension points. It prints what happens as lines of JSON. */
import { Buffer } from "node:buffer";
import type { EventEmitter } from "node:events";
import process from "node:process";
import { Readable, Writable } from "node:stream";

// A name at run time, so that the product's own lock file does not hold the package.
const name = "npm:ftp-srv@4.6.3";
const { FtpSrv, FileSystem } = await import(name);
const registry = (await import(`${name}/src/commands/registry.js`)).default;
if (Deno.args[0] === "probe") Deno.exit(0);

interface Options {
  /** A folder served by the package's own file system; without it ours below is used. */
  readonly root?: string;
  readonly tls?: { readonly key: string; readonly cert: string };
  readonly implicit?: boolean;
  /** Reads command lines in place of the package, from the undocumented `connect` event. */
  readonly ownReader?: boolean;
  readonly ownMlsd?: boolean;
  readonly ownSignals?: boolean;
}
const options: Options = JSON.parse(Deno.args[0] ?? "{}");

const tell = (event: string, more: Record<string, unknown> = {}) =>
  Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify({ event, ...more }) + "\n"));
const quiet = () => {};
const log = { trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet };
Object.assign(log, { child: () => log });

let release = quiet;
const released = new Promise<void>((resolve) => release = resolve);

const stat = (file: string, directory = false) => ({
  name: file,
  size: 4,
  mode: 0o644,
  mtime: new Date(0),
  isDirectory: () => directory,
});

/** What an adapter over our VFS would be: the documented file system class. */
class Recording extends FileSystem {
  constructor(connection: object) {
    super(connection);
  }
  get(file: string) {
    if (file === "release") release();
    return Promise.resolve(stat(file, file === "many"));
  }
  list() {
    return Promise.resolve(Array.from({ length: 150_000 }, (_, i) => stat(`f${i}`)));
  }
  async delete(file: string | null) {
    tell("delete", { file });
    if (file === "slow") await released;
  }
  read(file: string) {
    tell("read", { file });
    const chunk = Buffer.alloc(65536, 0x78);
    return Readable.from(file === "big" ? Array(512).fill(chunk) : [Buffer.from("a\nb\n")]);
  }
  write(file: string) {
    const socket = this.connection.connector.socket;
    tell("write", { file, reused: socket.isSessionReused?.() ?? null });
    let bytes = 0;
    return new Writable({
      write: (chunk, _encoding, done) => (bytes += chunk.length, done()),
      final: (done) => (tell("final", { file, bytes }), done()),
      destroy: (error, done) => (tell("destroy", { error: error?.message ?? null }), done(error)),
    });
  }
}

process.on("unhandledRejection", (error) => tell("rejection", { error: String(error) }));
if (options.ownSignals) process.on("SIGTERM", () => setTimeout(() => Deno.exit(42), 1000));

const server = new FtpSrv({
  url: `${options.implicit ? "ftps" : "ftp"}://127.0.0.1:0`,
  pasv_url: "127.0.0.1",
  pasv_min: 10_000 + Math.floor(Math.random() * 20_000),
  tls: options.tls ?? false,
  log,
});
server.on("client-error", quiet);
server.on(
  "login",
  (
    { connection, username, password }: { connection: object; username: string; password: string },
    accept: (settings: object) => void,
  ) => {
    tell("login", { username, password });
    accept(options.root ? { root: options.root } : { fs: new Recording(connection) });
  },
);

/** What of a connection its declarations do not name. */
interface Reading {
  readonly commandSocket: EventEmitter;
  readonly commands: { handle(command: object): Promise<unknown> };
}

if (options.ownReader) {
  server.on("connect", ({ connection }: { connection: Reading }) => {
    const { commandSocket, commands } = connection;
    commandSocket.removeAllListeners("data");
    let rest = "";
    let turn: Promise<unknown> = Promise.resolve();
    commandSocket.on("data", (data: Buffer) => {
      const lines = (rest + data).split("\r\n");
      rest = lines.pop() ?? "";
      for (const raw of lines) {
        const [directive = "", ...words] = raw.split(" ");
        const arg = words.join(" ") || null;
        const command = { directive: directive.toUpperCase(), arg, flags: [], raw };
        turn = turn.then(() => commands.handle(command));
      }
    });
  });
}
if (options.ownMlsd) {
  registry.MLSD = {
    directive: "MLSD",
    handler(this: { reply(code: number, text: string): Promise<void> }) {
      return this.reply(250, "ours");
    },
    flags: { feat: "MLST type*;" },
  };
}

await server.listen();
tell("listening", { port: server.server.address().port });
