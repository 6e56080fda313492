import { Buffer } from "node:buffer";
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { Context } from "effect";
import { Secret } from "../model/user.ts";

type Secret = typeof Secret.Type;

/** The key under which stored credentials are sealed. Losing it loses them (BEHAVIOUR KMS-04). */
export class MasterKey extends Context.Tag("sluice/MasterKey")<MasterKey, {
  /** Names the key in every record it sealed; not secret. */
  readonly id: string;
  /** 32 bytes. */
  readonly bytes: Uint8Array;
}>() {}

const cipher = "aes-256-gcm";
const nonceLength = 12;
const tagLength = 16;

/** Seals `plain` for `owner`; the record opens for no other owner (BEHAVIOUR KMS-06). */
export const seal = (key: typeof MasterKey.Service, plain: string, owner: string): Secret => {
  const nonce = randomBytes(nonceLength);
  const sealing = createCipheriv(cipher, key.bytes, nonce, { authTagLength: tagLength });
  sealing.setAAD(Buffer.from(owner));
  const sealed = Buffer.concat([sealing.update(plain, "utf8"), sealing.final()]);
  return Secret.make({
    status: "AES-256-GCM",
    payload: Buffer.concat([nonce, sealed, sealing.getAuthTag()]).toString("base64"),
    key: key.id,
    additional_data: owner,
    mode: 0,
  });
};

/** Opens what `seal` made; undefined when it was changed, moved or sealed under another key. */
export const unseal = (
  key: typeof MasterKey.Service,
  secret: Secret,
  owner: string,
): string | undefined => {
  if (secret.status !== "AES-256-GCM" || secret.key !== key.id) return undefined;
  const record = Buffer.from(secret.payload, "base64");
  if (record.length < nonceLength + tagLength) return undefined;
  try {
    const opening = createDecipheriv(cipher, key.bytes, record.subarray(0, nonceLength), {
      authTagLength: tagLength,
    });
    opening.setAAD(Buffer.from(owner));
    opening.setAuthTag(record.subarray(-tagLength));
    const plain = opening.update(record.subarray(nonceLength, -tagLength));
    return Buffer.concat([plain, opening.final()]).toString("utf8");
  } catch {
    return undefined;
  }
};
