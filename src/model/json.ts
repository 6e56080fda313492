import type { Admin } from "./admin.ts";
import type { User, UserFilters } from "./user.ts";

/** API-V2.md's User: without hash, secrets and recovery codes. */
export const userToJson = ({ password_hash, filters, ...user }: User) => ({
  ...user,
  has_password: password_hash !== "",
  filters: withoutSecrets(filters),
});

/** API-V2.md's Admin: without hash, secrets and recovery codes. */
export const adminToJson = ({ password_hash: _, filters, ...admin }: Admin) => ({
  ...admin,
  filters: withoutSecrets(filters),
});

const withoutSecrets = <
  F extends Pick<UserFilters, "totp_config"> & { readonly recovery_codes: unknown },
>({ recovery_codes: _, totp_config, ...filters }: F) => ({
  ...filters,
  ...(totp_config && { totp_config: withoutSecret(totp_config) }),
});

const withoutSecret = (
  { secret: _, ...totp }: NonNullable<UserFilters["totp_config"]>,
) => totp;
