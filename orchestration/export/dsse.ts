import { createHash, createPublicKey, sign, verify, type KeyObject } from "node:crypto";
import { z } from "zod";

export const envelopeSchema = z.object({
  payload: z.string(),
  payloadType: z.string(),
  signatures: z.array(z.object({ sig: z.string(), keyid: z.string().optional() })).min(1),
});
export type Envelope = z.infer<typeof envelopeSchema>;

/** DSSE 1.0.2, pre-authentication encoding: what is signed. Lengths are bytes, in decimal. */
export function preAuthEncoding(type: string, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`DSSEv1 ${Buffer.byteLength(type)} ${type} ${body.length} `), body]);
}

/** @param key an Ed25519 private key */
export function signEnvelope(payloadType: string, body: Buffer, key: KeyObject): Envelope {
  const sig = sign(null, preAuthEncoding(payloadType, body), key).toString("base64");
  return { payload: body.toString("base64"), payloadType, signatures: [{ sig, keyid: keyId(createPublicKey(key)) }] };
}

/** The very bytes that were signed; null when no signature is by the key. The key id is a hint only and is not looked at. */
export function openEnvelope(envelope: Envelope, key: KeyObject): Buffer | null {
  const body = fromBase64(envelope.payload);
  const encoded = preAuthEncoding(envelope.payloadType, body);
  return envelope.signatures.some(({ sig }) => verify(null, encoded, key, fromBase64(sig))) ? body : null;
}

/** SHA-256 of the public key as SubjectPublicKeyInfo. */
export function keyId(key: KeyObject): string {
  return createHash("sha256").update(key.export({ type: "spki", format: "der" })).digest("hex");
}

/** Standard or URL-safe; both are to be accepted. */
function fromBase64(text: string): Buffer {
  return Buffer.from(text.replaceAll("-", "+").replaceAll("_", "/"), "base64");
}
