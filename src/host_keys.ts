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

/** Reads the certificate that a web section serves with. */
export const webCertificate = (settings: Settings, section: "httpd" | "webdavd") =>
  loadCertificate({
    dataDir: settings.data_dir,
    certificate: settings[section].certificate_file,
    key: settings[section].certificate_key_file,
    where: section,
  });

/** Reads every certificate that is served with, making the server's own if that is missing. */
export const prepareCertificates = (settings: Settings) =>
  Effect.gen(function* () {
    const { ftpd, data_dir: dataDir } = settings;
    for (const [i, binding] of ftpd.bindings.entries()) {
      const own = binding.certificate_file !== "" || binding.certificate_key_file !== "";
      const { certificate_file, certificate_key_file } = own ? binding : ftpd;
      yield* loadCertificate({
        dataDir,
        certificate: certificate_file,
        key: certificate_key_file,
        where: own ? `ftpd.bindings.${i}` : "ftpd",
      });
    }
    for (const section of ["httpd", "webdavd"] as const) {
      if (settings[section].bindings.some(({ enable_https }) => enable_https)) {
        yield* webCertificate(settings, section);
      }
    }
  });
