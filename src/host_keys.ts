import { Effect } from "effect";
import { loadCertificate } from "../actors/certificate.ts";
import { chooseAlgorithms } from "../adapters/ssh/algorithms.ts";
import { loadHostKeys } from "../adapters/ssh/host_keys.ts";
import type { Settings } from "./config/config.ts";
import { ConfigError } from "./errors.ts";

/** Reads the host keys, making the default ones that are missing; answers their algorithms. */
export const prepareHostKeys = (settings: Settings) =>
  Effect.gen(function* () {
    const { sftpd, data_dir } = settings;
    const algorithms = chooseAlgorithms(sftpd);
    if (algorithms instanceof ConfigError) return yield* algorithms;
    const keys = yield* loadHostKeys({
      dataDir: data_dir,
      files: sftpd.host_keys,
      certificates: sftpd.host_certificates,
      algorithms: algorithms.serverHostKey,
    });
    return [...keys.keys()];
  });

/** Reads the certificate of FTPS, making the server's own if that is missing. */
export const prepareCertificate = ({ ftpd, data_dir: dataDir }: Settings) =>
  ftpd.bindings.length === 0 ? Effect.void : Effect.asVoid(loadCertificate({
    dataDir,
    certificate: ftpd.certificate_file,
    key: ftpd.certificate_key_file,
    where: "ftpd",
  }));
