import { Either } from "effect";
import { parseCidr } from "../guard/cidr.ts";
import { parseClientPath } from "../vpath.ts";
import { nameProblem } from "./names.ts";
import { type Problems, quoted } from "./problems.ts";

/** Longest stored account, in UTF-16 units of its JSON. */
const largest = 1024 * 1024;

export const checkName = (
  problems: Problems,
  field: string,
  name: string,
  rules: number,
): void => {
  const what = nameProblem(name, rules);
  if (what) problems.add(field, what);
};

export const checkEmail = (problems: Problems, field: string, email: string): void => {
  if (email === "") return;
  const fine = email.length <= 254 && /^[^\s@<>"\p{Cc}]{1,64}@[^\s@<>"\p{Cc}]+$/u.test(email);
  if (!fine) problems.add(field, `${quoted(email)} is not an e-mail address`);
};

export const checkNetworks = (
  problems: Problems,
  field: string,
  list: ReadonlyArray<string>,
): void =>
  list.forEach((text, i) => {
    if (Either.isLeft(parseCidr(text))) {
      problems.add(`${field}[${i}]`, `${quoted(text)} is not an address or network`);
    }
  });

/** The canonical form of an absolute virtual path; what cannot be one is a problem. */
export const cleanPath = (problems: Problems, field: string, path: string): string => {
  if (!path.startsWith("/")) {
    problems.add(field, `${quoted(path)} must be an absolute path`);
    return path;
  }
  return Either.getOrElse(parseClientPath(path), (error) => {
    problems.add(field, error.detail ?? error.reason);
    return path;
  });
};

/** Keeps one account from filling the database. */
export const checkSize = (problems: Problems, object: unknown): void => {
  if (JSON.stringify(object).length > largest) {
    problems.add("object", "is larger than 1 MiB");
  }
};
