const NO_DIGIT = /[^A-Za-z0-9+/]/;

/**
 * The bytes of a text in base64 (RFC 4648, with padding); `undefined` for any other text, which `Buffer` would decode as far as it can.
 * Texts whose last character has bits that are not used are taken. Of any length: a pattern over groups of four exhausts the stack.
 */
export function base64Bytes(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64");
  // To encode what was decoded takes a fraction of looking at each character.
  return bytes.toString("base64") === text || isBase64(text) ? bytes : undefined;
}

function isBase64(text: string): boolean {
  const digits = text.endsWith("==") ? text.slice(0, -2) : text.endsWith("=") ? text.slice(0, -1) : text;
  return text.length % 4 === 0 && !NO_DIGIT.test(digits);
}
