import assert from "node:assert/strict";
import { must } from "./process.ts";
import { type Dialog, dialog } from "./raw_ftp.ts";
import { addUser, Server } from "./server.ts";

export const password = "tick and a quarter";

/** A running server with FTP and the user anna. Leaving the scope stops it. */
export interface FtpWorld extends AsyncDisposable {
  readonly server: Server;
  /** Of the bindings, in their order. */
  readonly ports: ReadonlyArray<number>;
  /** A place for the clients' files. */
  readonly dir: string;
  readonly home: (name: string) => string;
  /** A control connection of anna's, in clear, that is logged in. */
  readonly login: (username?: string) => Promise<Dialog>;
}

/** Starts one; `ftpd` is added to the settings of a binding in clear and one with TLS. */
export const ftpWorld = async (
  { ftpd = {}, common = {}, users = [], wrap, files }: {
    readonly ftpd?: Readonly<Record<string, unknown>>;
    readonly common?: Readonly<Record<string, unknown>>;
    readonly users?: ReadonlyArray<Parameters<typeof addUser>[1]>;
    readonly wrap?: ReadonlyArray<string>;
    /** Makes files in the data folder before the start. */
    readonly files?: (dataDir: string) => Promise<void>;
  } = {},
): Promise<FtpWorld> => {
  const dir = await Deno.makeTempDir({ prefix: "sluice-ftp-" });
  const bindings = [0, 1].map((tls_mode) => ({ address: "127.0.0.1", port: 0, tls_mode }));
  const server = await Server.start({
    config: { common, ftpd: { bindings, ...ftpd } },
    ...(wrap ? { wrap } : {}),
    before: async (dataDir) => {
      await files?.(dataDir);
      for (const user of [{ username: "anna", password }, ...users]) await addUser(dataDir, user);
    },
  });
  const ready = server.log.find(({ event }) => event === "ready");
  const { ftp } = ready?.["listeners"] as { ftp: ReadonlyArray<string> };
  const ports = ftp.map((address) => Number(address.split(":").at(-1)));
  return {
    server,
    ports,
    dir,
    home: (name) => `${server.dataDir}/users/anna/${name}`,
    login: async (username = "anna") => {
      const ftp = await dialog(ports[0] ?? 0);
      assert.match(await ftp.answer(), /^220/);
      assert.match(await ftp.ask(`USER ${username}`), /^331/);
      assert.match(await ftp.ask(`PASS ${password}`), /^230/);
      return ftp;
    },
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      await Deno.remove(dir, { recursive: true });
    },
  };
};

/** An authority, and what it and others sign: `NAME.pem` and `NAME.key` in `dir`. */
export const makeCertificates = async (dir: string): Promise<void> => {
  const openssl = (...args: string[]) => must("openssl", args, { cwd: dir });
  const fresh = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  for (const name of ["ca", "stranger"]) {
    await openssl(
      ...fresh,
      "-x509",
      "-days",
      "2",
      "-subj",
      `/CN=${name}`,
      "-keyout",
      `${name}.key`,
      "-out",
      `${name}.pem`,
    );
  }
  await Deno.writeTextFile(
    `${dir}/ext`,
    "basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n",
  );
  for (const [name, authority] of [["anna", "ca"], ["bert", "ca"], ["forged", "stranger"]]) {
    const subject = name === "forged" ? "anna" : name;
    await openssl(
      ...fresh,
      "-subj",
      `/CN=${subject}`,
      "-keyout",
      `${name}.key`,
      "-out",
      `${name}.csr`,
    );
    await openssl(
      "x509",
      "-req",
      "-in",
      `${name}.csr`,
      "-CA",
      `${authority}.pem`,
      "-CAkey",
      `${authority}.key`,
      "-CAcreateserial",
      "-days",
      "2",
      "-extfile",
      "ext",
      "-out",
      `${name}.pem`,
    );
  }
};
