import { canonicalName, nameProblem } from "../model/names.ts";

/**
 * The account's name behind what a client typed (BEHAVIOUR AUTH-26); undefined
 * when no account can have it, so that it never reaches the catalog.
 */
export const accountName = (rules: number, typed: string): string | undefined => {
  const name = canonicalName(typed, rules);
  return nameProblem(name, rules) === undefined ? name : undefined;
};

/** `text` as logs and events may show it: short, and control characters replaced. */
export const printable = (text: string): string =>
  text.slice(0, 255).toWellFormed().replace(/\p{Cc}/gu, "\uFFFD");
