/** Bits of `data_provider.naming_rules` (BEHAVIOUR DB-12). */
export const NamingRule = { anyUtf8: 1, lowerCase: 2, trim: 4 } as const;

const longest = 255;

/**
 * The account's name behind what a client or an operator typed (BEHAVIOUR AUTH-26).
 *
 * Undefined when no account can have it: empty, too long, control characters,
 * broken UTF-16, or characters that the rules do not allow.
 */
export const accountName = (rules: number, typed: string): string | undefined => {
  const trimmed = (rules & NamingRule.trim) === 0 ? typed : typed.trim();
  const name = (rules & NamingRule.lowerCase) === 0 ? trimmed : trimmed.toLowerCase();
  if (name === "" || name.length > longest || !name.isWellFormed()) return undefined;
  if (/\p{Cc}/u.test(name)) return undefined;
  if ((rules & NamingRule.anyUtf8) === 0 && !/^[A-Za-z0-9_.~-]+$/.test(name)) return undefined;
  return name;
};

/** `text` as logs and events may show it: short, and control characters replaced. */
export const printable = (text: string): string =>
  text.slice(0, longest).toWellFormed().replace(/\p{Cc}/gu, "\uFFFD");
