import type { Case, Driver } from "./protocol.ts";
import { fileCases } from "./protocol_cases_files.ts";
import { nameCases } from "./protocol_cases_names.ts";
import { pathCases } from "./protocol_cases_paths.ts";
import { policyCases } from "./protocol_cases_policy.ts";
import { ftpDriver, ftpsDriver } from "./protocol_ftp.ts";
import { scpDriver, sftpDriver } from "./protocol_openssh.ts";
import { davDriver, httpDriver } from "./protocol_web.ts";

export const matrix: ReadonlyArray<Case> = [
  ...fileCases,
  ...nameCases,
  ...pathCases,
  ...policyCases,
];

export const drivers: ReadonlyArray<Driver> = [
  sftpDriver,
  scpDriver,
  ftpDriver,
  ftpsDriver,
  davDriver,
  httpDriver,
];
