/** The field of a stream's entries that messages are in, unless the address names another. */
export const FIELD = "data";
