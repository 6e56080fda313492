import { type Ended, must, run, type RunOptions } from "./process.ts";
import { makeCertificates } from "./ftp_world.ts";
import type { ServerOptions } from "./server.ts";
import { makeWorld, type World } from "./world.ts";

export const password = "tick and a quarter";

/** A running server whose WebDAV and HTTP ask for certificates, and who signs them. */
export interface CertificateWorld extends AsyncDisposable {
  readonly world: World;
  /** `NAME.pem` and `NAME.key` are here. */
  readonly certificates: string;
  /** Addresses of WebDAV: nobody is asked, a certificate is required, one is taken if there. */
  readonly plain: string;
  readonly required: string;
  readonly optional: string;
  /** Of the users' web port, where one is required. */
  readonly http: string;
  /** Of FTP with implicit TLS, where one is required. */
  readonly ftp: string;
  /** curl with the certificate of that name, if one is given; `stdout` ends with the status. */
  readonly curl: (name: string | undefined, ...args: string[]) => Promise<Ended>;
  readonly status: (name: string | undefined, ...args: string[]) => Promise<number>;
  /** Makes `NAME.pem`, signed by the authority for so many days, and its key. */
  readonly sign: (name: string, days?: number) => Promise<void>;
  /** Takes it back: it is in the authority's new list, `revoked.pem`. */
  readonly revoke: (name: string) => Promise<void>;
}

type Users = Parameters<typeof makeWorld>[0];

const caConfig = `[ca]
default_ca = here
[here]
database = index.txt
default_md = sha256
default_crl_days = 2
`;

/** Starts one; the users are made once there are certificates. */
export const certificateWorld = async (
  users: (read: (name: string) => Promise<string>) => Promise<Users>,
  options: ServerOptions = {},
): Promise<CertificateWorld> => {
  const certificates = await Deno.makeTempDir({ prefix: "sluice-certificates-" });
  await makeCertificates(certificates);
  const openssl = (...args: string[]) => must("openssl", args, { cwd: certificates });
  await Deno.writeTextFile(`${certificates}/index.txt`, "");
  await Deno.writeTextFile(`${certificates}/ca.conf`, caConfig);
  const authority = ["ca", "-config", "ca.conf", "-keyfile", "ca.key", "-cert", "ca.pem"];
  const issueList = async () => {
    await openssl(...authority, "-gencrl", "-out", "revoked.new");
    await Deno.rename(`${certificates}/revoked.new`, `${certificates}/revoked.pem`);
  };
  await issueList();
  const asking = (...types: number[]) => ({
    bindings: types.map((client_auth_type) => ({
      ...{ address: "127.0.0.1", port: 0, enable_https: true, client_auth_type },
    })),
    ca_certificates: [`${certificates}/ca.pem`],
    ca_revocation_lists: [`${certificates}/revoked.pem`],
  });
  const world = await makeWorld(
    await users((name) => Deno.readTextFile(`${certificates}/${name}.pem`)),
    {
      args: ["--workers", "2"],
      ...options,
      config: {
        ...options.config,
        webdavd: asking(0, 1, 2),
        httpd: asking(1),
        ftpd: {
          ...asking(),
          bindings: [{ address: "127.0.0.1", port: 0, tls_mode: 2, client_auth_type: 1 }],
        },
      },
    },
  );
  const ready = world.server.log.find(({ event }) => event === "ready");
  const { ftp, http, webdav } = ready?.["listeners"] as Record<string, ReadonlyArray<string>>;
  const at = (address: string | undefined) => `https://${address}`;
  const curl = (name: string | undefined, ...args: string[]) => {
    const options: RunOptions = { cwd: certificates, timeout: 60 };
    return run("curl", [
      ...["-sS", "-k", "--path-as-is", "-w", "\n%{http_code}"],
      ...(name === undefined ? [] : ["--cert", `${name}.pem`, "--key", `${name}.key`]),
      ...args,
    ], options);
  };
  return {
    world,
    certificates,
    plain: at(webdav?.[0]),
    required: at(webdav?.[1]),
    optional: at(webdav?.[2]),
    http: at(http?.[0]),
    ftp: `ftps://${ftp?.[0]}`,
    curl,
    status: async (name, ...args) => Number((await curl(name, ...args)).stdout.slice(-3)),
    sign: async (name, days = 2) => {
      const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
      const files = ["-keyout", `${name}.key`, "-out", `${name}.csr`];
      await openssl("req", ...key, "-subj", `/CN=${name}`, ...files);
      const by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
      const how = ["-days", String(days), "-extfile", "ext", "-in", `${name}.csr`];
      await openssl("x509", "-req", ...by, ...how, "-out", `${name}.pem`);
    },
    revoke: async (name) => {
      await openssl(...authority, "-revoke", `${name}.pem`);
      await issueList();
    },
    [Symbol.asyncDispose]: async () => {
      await world[Symbol.asyncDispose]();
      await Deno.remove(certificates, { recursive: true });
    },
  };
};
