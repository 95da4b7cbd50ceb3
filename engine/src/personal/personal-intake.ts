/** Where messages with personal fields enter: the fields are sealed before anybody sees the message. */
import { fieldOf, setField } from "../frame/field.ts";
import { isJsonObject, type Json } from "../frame/json.ts";
import { personalError } from "./personal-errors.ts";
import { erasedMarker, sealValue } from "./sealed-value.ts";
import type { SubjectKeys } from "./subject-keys.ts";

/** Which values of a message are personal, and whose. */
export interface PersonalFields {
  /** Field with the subject: a text or a number. The same subject in every graph of a data directory. */
  readonly subject: string;
  readonly fields: readonly string[];
}

export class PersonalIntake {
  readonly #keys: () => SubjectKeys;
  readonly #personal: PersonalFields;
  readonly #origin: string;

  /** @param origin graph/node */
  constructor(keys: () => SubjectKeys, personal: PersonalFields, origin: string) {
    this.#keys = keys;
    this.#personal = personal;
    this.#origin = origin;
  }

  /**
   * The message with its personal fields sealed, per message, or why it cannot be taken. Keys are durable when it resolves. What comes
   * for a subject that was erased is erased.
   *
   * @param placeOf what tells the i-th message from all others of this origin
   * @throws PERSONAL-KEYS
   */
  async seal(messages: readonly Json[], placeOf: (i: number) => string): Promise<readonly (Json | Error)[]> {
    const keys = this.#keys();
    const subjects = messages.map((message) => this.#subjectOf(message));
    await keys.ensure(subjects.filter((subject) => subject !== undefined));
    return messages.map((message, i) => {
      const subject = subjects[i];
      if (subject === undefined || !isJsonObject(message)) {
        const { subject: field } = this.#personal;
        return personalError("PERSONAL-SUBJECT", `the message has no text or number in \`${field}\``);
      }
      const sealed: Record<string, Json> = { ...message };
      for (const field of this.#personal.fields) {
        const value = fieldOf(message, field);
        if (value !== undefined) setField(sealed, field, this.#sealed(keys, subject, field, value, placeOf(i)));
      }
      return sealed;
    });
  }

  #sealed(keys: SubjectKeys, subject: string, field: string, value: Json, place: string): Json {
    const key = keys.keyOf(subject);
    if (key === undefined) throw personalError("PERSONAL-KEYS", "a key is not there after it was made");
    if (key === "erased") return erasedMarker(keys.find(subject)?.key ?? "");
    return sealValue(key, value, `${this.#origin}.${field}`, place);
  }

  #subjectOf(message: Json): string | undefined {
    const value = fieldOf(message, this.#personal.subject);
    if (typeof value === "number") return String(value);
    return typeof value === "string" && value !== "" ? value : undefined;
  }
}
